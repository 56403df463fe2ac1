"""The command line: arguments → one call of the API → a table or JSON. Importing it loads no framework."""

from __future__ import annotations

from ckstore.cli.app import main

__all__ = ["main"]
