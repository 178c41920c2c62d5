"""`python -m gateway token NAME`: a new token for a caller, in the gateway's file of tokens."""

from __future__ import annotations

import argparse
import secrets
import sys

from gateway.commands.tokens_file import NAME, TokensFile, file_option, say_reload
from gateway.tokens import check_all, parse_token

TOKEN_BYTES = 24


def main(arguments: list[str]) -> None:
    """Add a line to the file, and print the token. Raises SystemExit, with what is wrong."""
    args = _parser().parse_args(arguments)
    token = secrets.token_hex(TOKEN_BYTES)
    words = [args.scopes.replace(" ", "")]
    words += [f"chats={args.chats}"] if args.chats else []
    words += [f"limit={','.join(args.limit)}"] if args.limit else []
    line = f"{args.name}:{token}:{' '.join(words)}"
    if not NAME.fullmatch(args.name):
        raise SystemExit(f"{args.name[:64]!r} is no name: it may hold A-Z a-z 0-9 _ . and -")
    try:
        with TokensFile(args.file) as file:
            check_all([*file.tokens(), parse_token(line)])
            file.lines.append(line)
            file.write()
    except ValueError as error:
        raise SystemExit(f"{error}.") from None
    print(token)
    print(f"{args.name} is in {args.file}; its token is shown here only.", file=sys.stderr)
    say_reload()


def _parser() -> argparse.ArgumentParser:
    token = argparse.ArgumentParser(
        prog="python -m gateway token",
        description="Make a token for a caller, and print it once.",
        epilog="Asked for a name that has a token, it makes another beside it: for a change of"
        " tokens, after which `python -m gateway revoke NAME --old` takes the old one away.",
    )
    token.add_argument("name", help="the caller, as the access log and GET /usage name it")
    token.add_argument("--scopes", default="chat", help="chat, admin or chat,admin (default chat)")
    token.add_argument("--chats", metavar="NAMES", help="only these chats, such as 'shop_*,sort'")
    token.add_argument(
        "--limit",
        action="append",
        metavar="LIMIT",
        help="60/min, 5000/day, 200000tokens/day, 50CNY/month; may be given several times",
    )
    file_option(token)
    return token
