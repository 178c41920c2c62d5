"""The gateway's one command line: python -m gateway COMMAND."""

from __future__ import annotations

import argparse
import importlib
import sys

from gateway import __version__

COMMANDS = {
    "run": "start the gateway, and a Ray head if none is configured",
    "doctor": "say what is wrong with this gateway, and what to do about it",
    "bulk": "ask a chat about each row of a table",
    "usage": "print what was asked, answered and paid",
    "notify-test": "send a test message to whoever GATEWAY_NOTIFY names",
    "token": "make a token for a caller",
    "revoke": "take a caller's token away",
    "check-settings": "look whether the settings can be used, as a reload does first",
    "ray-head": "become a Ray head, or a node that joins it, as byzer-ray.service does",
}
"""Each is a module of gateway/commands with a function `main`."""


def main() -> None:
    """Run the command that is named first; the rest of the line is its own."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    parser.add_argument("--version", action="version", version=f"Byzer-LLM gateway {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name, words in COMMANDS.items():
        commands.add_parser(name, help=words, add_help=False)
    command = parser.parse_args(sys.argv[1:2]).command
    module = importlib.import_module(f"gateway.commands.{command.replace('-', '_')}")
    module.main(sys.argv[2:])


if __name__ == "__main__":
    main()
