"""Offer the command line: one module for each group of commands."""

from __future__ import annotations

import sys


def run() -> None:
    """Run the command line, or say what is missing: the library alone installs less."""
    try:
        from hansard.cli.main import app  # noqa: PLC0415 - only now is it known whether what it needs is there
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "hansard":
            raise
        sys.exit(f"hansard: the command line needs the extra 'server' ({error.name} is missing)")
    app()
