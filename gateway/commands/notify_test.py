"""`python -m gateway notify-test`: send a test message to each target of GATEWAY_NOTIFY."""

from __future__ import annotations

import argparse

from gateway.settings import SettingError, load


def main(arguments: list[str]) -> None:
    """Print what became of each. Raises SystemExit, with 1 if one did not take it."""
    argparse.ArgumentParser(
        prog="python -m gateway notify-test",
        description="Send a test message to each target of GATEWAY_NOTIFY and GATEWAY_NOTIFY_FILE.",
    ).parse_args(arguments)
    try:
        settings = load()
    except SettingError as error:
        raise SystemExit(str(error)) from None
    if not settings.notify:
        raise SystemExit("GATEWAY_NOTIFY and GATEWAY_NOTIFY_FILE name nobody to tell.")
    # httpx, which need not be installed for the other commands
    from gateway.notifications import delivery, sentences

    failed = False
    for target in settings.notify:
        letter = sentences.trial(settings.notify_lang)
        verdict = delivery.send(target, letter, settings.egress_proxy)
        trouble = verdict.reason or verdict.lost
        print(f"{target.name}: {trouble or 'taken'}", flush=True)
        failed = failed or bool(trouble)
    if failed:
        raise SystemExit(1)
