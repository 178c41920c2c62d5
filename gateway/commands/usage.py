"""`python -m gateway usage`: what was asked, answered and paid, as a table."""

from __future__ import annotations

import argparse
import os
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException

from gateway.commands import own_gateway
from gateway.commands.run import reachable

SECONDS = 30


def main(arguments: list[str]) -> None:
    """Print GET /usage. Raises SystemExit, with what the gateway says."""
    args = _parser().parse_args(arguments)
    query = {"format": args.format, "by": args.by, "from": args.first, "to": args.to}
    given = urllib.parse.urlencode({name: value for name, value in query.items() if value})
    request = urllib.request.Request(f"{args.url.rstrip('/')}/usage?{given}")
    if token := own_gateway.token():
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with own_gateway.opener().open(request, timeout=SECONDS) as reply:
            print(reply.read().decode(), end="" if args.format == "csv" else "\n")
    except urllib.error.HTTPError as error:
        raise SystemExit(error.read().decode(errors="replace")) from None
    except (OSError, HTTPException) as error:
        words = str(error) or type(error).__name__
        raise SystemExit(f"{args.url}: no gateway answers ({words}).") from None


def _parser() -> argparse.ArgumentParser:
    usage = argparse.ArgumentParser(
        prog="python -m gateway usage",
        description="Print what was asked, answered and paid, this month's if no days are given.",
        epilog="The gateway's token, if it wants one, comes from GATEWAY_TOKEN.",
    )
    usage.add_argument("--from", dest="first", metavar="DAY", help="the first day: 2026-11-01")
    usage.add_argument("--to", metavar="DAY", help="the last day")
    usage.add_argument("--by", metavar="LIST", help="day,caller,chat,served_by,model,code")
    usage.add_argument("--format", choices=["text", "csv", "json"], default="text")
    here = f"http://{reachable(os.environ.get('GATEWAY_BIND', '').strip() or '127.0.0.1:8099')}"
    usage.add_argument("--url", default=here, help=f"the gateway's (default {here})")
    return usage
