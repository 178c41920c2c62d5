"""`python -m gateway bulk`: a table in, the same table with a chat's answers out."""

from gateway.commands.bulk.command import main

__all__ = ["main"]
