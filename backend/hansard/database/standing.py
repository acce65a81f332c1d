"""Say where a database stands among the revisions, without Alembic: every server asks this when it starts.

Importing Alembic takes longer than all of Hansard's core; whoever only asks, or serves, should not pay for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, String, column, inspect, select, table

from hansard.database.direct import connect
from hansard.database.urls import parse_url

VERSION_TABLE: Final = "hansard_version"
SCRIPTS: Final = Path(__file__).parent / "alembic"
# The migrations let everybody read it.
REVISION: Final = select(column("version_num", String)).select_from(table(VERSION_TABLE))


def current(url: str) -> str | None:
    """Return the revision of the database; ``None`` when it was never migrated."""
    parsed = parse_url(url)
    if parsed.path is not None and not parsed.path.exists():
        return None
    with connect(parsed) as connection:
        return revision_of(connection)


def revision_of(connection: Connection) -> str | None:
    """Return what `current` returns, on an open connection."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(REVISION).scalar_one_or_none()


def head() -> str:
    """Return the newest revision of this release: they stand in one row, each in a file that begins with its number."""
    return max(script.name.partition("_")[0] for script in (SCRIPTS / "versions").glob("[0-9]*.py"))


def is_newest(url: str) -> bool:
    """Say whether the database is at the newest revision."""
    return current(url) == head()
