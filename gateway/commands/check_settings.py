"""Whether the settings can be used. A reload looks first, since gunicorn ends where its
new settings are wrong."""

from __future__ import annotations

import argparse

from gateway.settings import SettingError, load


def main(arguments: list[str]) -> None:
    """Read the settings. Raises SystemExit with what is wrong."""
    argparse.ArgumentParser(
        prog="python -m gateway check-settings",
        description="Look whether the settings in the environment can be used.",
    ).parse_args(arguments)
    try:
        load()
    except SettingError as error:
        raise SystemExit(str(error)) from None
