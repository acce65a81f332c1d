"""Assemble the commands, and tell every expected error in one line."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hansard.cli import database, doctor, keys, serve
from hansard.errors import HansardError

FAILED = 1


class OneLineErrors(TyperGroup):
    """Print what Hansard raises on purpose as one line; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except HansardError as error:
            typer.echo(f"hansard: {_in_one_line(str(error))}", err=True)
            raise typer.Exit(FAILED) from None


def _in_one_line(message: str) -> str:
    """Join the lines that a driver's part of a message may have, each a sentence without its full stop."""
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    ended = [line if line[-1] in ".,:;!?" else f"{line};" for line in lines[:-1]]
    return " ".join([*ended, *lines[-1:]])


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hansard {version('hansard')}")
        raise typer.Exit


# Pretty tracebacks print local variables, and those hold secrets and content.
app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(database.app, name="db")
app.command("serve")(serve.serve)
app.command("token")(keys.token)
app.command("login-url")(keys.login_url)
app.command("doctor")(doctor.doctor)


@app.callback()
def hansard(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Keep AI conversations: durable, verbatim, ordered, isolated.

    Settings come from the environment; see docs/reference/settings.md.
    """
