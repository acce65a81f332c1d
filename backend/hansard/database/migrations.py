"""Bring a database to the schema of this release, and say where it stands.

Alembic does the work, configured here in code. The functions are synchronous: they run once, in a command or
in a thread, on a connection of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import OperationalError

from hansard.database.urls import DatabaseUrl, parse_url
from hansard.errors import DatabaseUnavailable
from hansard.models import metadata

VERSION_TABLE = "hansard_version"
DEFAULT_ROLE = "hansard_app"
_SCRIPTS = Path(__file__).parent / "alembic"
# Phase 2's own tables: Hansard makes them where they are missing and never judges or changes them.
_NOT_OURS = {"user", "task"}


def upgrade(url: str, revision: str = "head", *, role: str = DEFAULT_ROLE) -> None:
    """Apply every missing revision, up to ``revision``; ``role`` is PostgreSQL's runtime role."""
    with _connect(url) as connection:
        command.upgrade(_config(connection, role=role), revision)


def downgrade(url: str, revision: str) -> None:
    """Undo revisions down to ``revision`` (``base`` for all); the tables of Phase 2 stay."""
    with _connect(url) as connection:
        command.downgrade(_config(connection), revision)


def current(url: str) -> str | None:
    """Return the revision of the database; ``None`` when it was never migrated."""
    with _connect(url) as connection:
        return _context(connection).get_current_revision()


def head() -> str:
    """Return the newest revision of this release."""
    found = ScriptDirectory(str(_SCRIPTS)).get_current_head()
    assert found is not None
    return found


def check(url: str) -> list[str]:
    """Return how our tables differ from what this release expects; empty when they do not."""
    with _connect(url) as connection:
        differences = compare_metadata(_context(connection), metadata)
        return [_describe(difference) for difference in differences]


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


def _config(connection: Connection, *, role: str = DEFAULT_ROLE) -> Config:
    config = Config(attributes={"connection": connection, "role": role})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def _context(connection: Connection) -> MigrationContext:
    options = _options()
    options["include_object"] = lambda _object, name, kind, _reflected, _to: kind != "table" or name not in _NOT_OURS
    return MigrationContext.configure(connection, opts=options)


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    engine = _engine(parse_url(url))
    try:
        with engine.connect() as connection:
            yield connection
            connection.commit()
    except OperationalError as error:
        raise DatabaseUnavailable(f"cannot migrate {parse_url(url)}: {error.orig}") from None
    finally:
        engine.dispose()


def _engine(url: DatabaseUrl) -> Engine:
    if not url.is_sqlite:
        return create_engine(url.text.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)
    engine = create_engine(f"sqlite:///{url.path}", poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # The driver would commit before DDL by itself; a migration is done or undone as a whole.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _describe(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(_describe(one) for one in difference)
    action, *things = difference
    names = [str(getattr(thing, "name", thing)) for thing in things if thing is not None]
    return f"{action}: {', '.join(names)}"
