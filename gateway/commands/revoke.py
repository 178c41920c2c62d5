"""`python -m gateway revoke NAME`: take a caller's token out of the gateway's file of tokens."""

from __future__ import annotations

import argparse

from gateway.commands.tokens_file import TokensFile, file_option, say_reload


def main(arguments: list[str]) -> None:
    """Take the lines of a caller away. Raises SystemExit, with what is wrong."""
    revoke = argparse.ArgumentParser(
        prog="python -m gateway revoke", description="Take a caller's token away."
    )
    revoke.add_argument("name", help="the caller")
    revoke.add_argument("--old", action="store_true", help="keep the one that was made last")
    file_option(revoke)
    args = revoke.parse_args(arguments)
    try:
        with TokensFile(args.file) as file:
            places = file.places(args.name)
            if args.old:
                places = places[:-1]
            if not places:
                raise SystemExit(f"{args.file} has no such token of {args.name[:64]!r}.")
            file.lines = [line for at, line in enumerate(file.lines) if at not in places]
            if not file.tokens():
                raise SystemExit(
                    "It is the last token, and without any the gateway would not start. Make"
                    " another first: python -m gateway token NAME"
                )
            file.write()
    except ValueError as error:
        raise SystemExit(f"{error}.") from None
    print(f"Taken away: {len(places)} of {args.name}.")
    say_reload()
