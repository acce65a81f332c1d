"""Bring a database to the schema of this release, and say where it stands.

Alembic does the work, configured here in code. The functions are synchronous: they run once, in a command or
in a thread, on a connection of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from hansard.database import adoption, isolation_check, search_postgres
from hansard.database.direct import Limits, connect
from hansard.database.migration_turn import turn
from hansard.database.roles import DEFAULT_ROLE, ensure_role
from hansard.database.standing import SCRIPTS, VERSION_TABLE, current, head, revision_of
from hansard.database.urls import parse_url
from hansard.errors import ConfigurationError
from hansard.models import metadata

__all__ = ["DEFAULT_ROLE", "VERSION_TABLE", "Limits", "check", "current", "downgrade", "head", "revision_of", "upgrade"]

# Phase 2's own tables: Hansard makes them where they are missing and never judges or changes them.
_NOT_OURS = {"user", "task"}


def upgrade(url: str, revision: str = "head", *, role: str = DEFAULT_ROLE, limits: Limits | None = None) -> list[str]:
    """Apply every missing revision, up to ``revision``, and return what a person should know.

    That is what Hansard found out about tables that it adopts, and what the role lacks at the newest revision, with the
    SQL that mends it: only revisions grant, each once, to the role of that time.

    ``role`` is PostgreSQL's runtime role, made if the cluster lacks it. Any number of processes may call this at
    once. Raises `ConfigurationError` for a database that cannot be adopted, for rights that the login lacks and for
    revisions that this release does not have, `DatabaseUnavailable` when others keep a table locked for longer than
    ``limits``; nothing is changed then.
    """
    with _turn(url, limits) as connection:
        new = revision_of(connection) is None
        notes = adoption.survey(connection) if new else []
        if connection.dialect.name == "postgresql":
            ensure_role(connection, role, beside=search_postgres.search_role(role))
        connection.commit()
        with _told_when_there_is_no_way(revision):
            command.upgrade(_config(connection, role=role, limits=limits), revision)
        return notes + _lacking(connection, role)


def _lacking(connection: Connection, role: str) -> list[str]:
    if connection.dialect.name != "postgresql" or revision_of(connection) != head():
        return []
    return [f"{one.told}; {one.advice}" for one in isolation_check.differences(connection, role)]


def downgrade(url: str, revision: str, *, limits: Limits | None = None) -> None:
    """Undo revisions down to ``revision`` (``base`` for all); the tables of Phase 2 and the runtime role stay."""
    with _turn(url, limits) as connection, _told_when_there_is_no_way(revision):
        command.downgrade(_config(connection, limits=limits), revision)


@contextmanager
def _told_when_there_is_no_way(revision: str) -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise ConfigurationError(
            f"cannot move the database to revision {revision}: {error}; the newest of this release is {head()}"
        ) from error


def check(url: str, *, role: str = DEFAULT_ROLE) -> list[str]:
    """Return how our tables, and what keeps their users apart, differ from this release; empty when they do not."""
    with connect(parse_url(url)) as connection:
        return differences(connection, role=role)


def differences(connection: Connection, *, role: str) -> list[str]:
    """Return what `check` returns, on an open connection."""
    found = table_differences(connection)
    if connection.dialect.name == "postgresql":
        found += [difference.told for difference in isolation_check.differences(connection, role)]
    return found


def table_differences(connection: Connection) -> list[str]:
    """Return how our tables differ from the models."""
    return [_describe(difference) for difference in compare_metadata(_context(connection), metadata)]


def revisions() -> list[str]:
    """Return all revisions of this release, the newest first."""
    return [script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()]


def run_revisions(context: Any) -> None:
    """Run revisions in one transaction; called by Alembic through ``env.py``."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, **_options())
    with context.begin_transaction():
        context.run_migrations()


def _options() -> dict[str, Any]:
    return {
        "target_metadata": metadata,
        "version_table": VERSION_TABLE,
        "include_name": _is_ours,
        "compare_type": True,
        "transactional_ddl": True,
    }


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or (name in metadata.tables and name not in _NOT_OURS)


def _config(connection: Connection, *, role: str = DEFAULT_ROLE, limits: Limits | None) -> Config:
    config = Config(attributes={"connection": connection, "role": role, "limits": limits or Limits()})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def _context(connection: Connection) -> MigrationContext:
    options = _options()
    options["include_object"] = _is_compared
    return MigrationContext.configure(connection, opts=options)


def _is_compared(_object: object, name: str | None, kind: str, _reflected: object, _to: object) -> bool:
    if kind == "index":
        # Which of these there are is a setting.
        return not (name or "").startswith(search_postgres.PREFIX)
    return kind != "table" or name not in _NOT_OURS


@contextmanager
def _turn(url: str, limits: Limits | None) -> Iterator[Connection]:
    parsed = parse_url(url)
    with turn(parsed, limits or Limits()), connect(parsed, limits=limits, create=True) as connection:
        yield connection


def _describe(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(_describe(one) for one in difference)
    action, *things = difference
    names = [str(getattr(thing, "name", thing)) for thing in things if thing is not None]
    return f"{action}: {', '.join(names)}"
