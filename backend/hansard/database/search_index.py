"""Bring what is indexed for search to the setting.

On PostgreSQL a search is right without any index, only slower: it reads all the user's messages then. So what the
login may not make there is told and is no error. On SQLite the full-text tables are what is searched.
"""

from __future__ import annotations

from hansard.database import search_postgres, search_sqlite
from hansard.database.direct import Limits, connect
from hansard.database.migration_turn import turn
from hansard.database.roles import DEFAULT_ROLE
from hansard.database.urls import parse_url
from hansard.models.search import SearchSettings


def apply(url: str, settings: SearchSettings, *, role: str = DEFAULT_ROLE, limits: Limits | None = None) -> list[str]:
    """Make the indexes that the settings ask for, drop the others, and return what could not be done, and the remedy.

    The schema must be migrated. Messages can be written meanwhile on PostgreSQL, not on SQLite. Any number of
    processes may call this at once. Raises `ConfigurationError`, `DatabaseUnavailable`.
    """
    parsed = parse_url(url)
    with turn(parsed, limits or Limits()), connect(parsed, limits=limits) as connection:
        if parsed.is_sqlite:
            search_sqlite.apply(connection, settings.mode)
            return []
        return search_postgres.apply(connection, settings, role=role)
