"""Open a store from a URL: what an application that imports Hansard calls first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hansard.database import open_database, search_index, standing
from hansard.database.dialects.base import POOL_SIZE
from hansard.database.roles import DEFAULT_ROLE
from hansard.database.urls import parse_url
from hansard.models.limits import ITEM_BYTES
from hansard.models.search import SearchSettings
from hansard.store.sql import SqlStore

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_store(
    url: str,
    *,
    migrate: bool | None = None,
    provision_users: bool = True,
    max_item_bytes: int = ITEM_BYTES,
    search: SearchSettings = SearchSettings(),  # noqa: B008 - immutable
    role: str = DEFAULT_ROLE,
    pool_size: int = POOL_SIZE,
    prepare: bool = False,
) -> AsyncIterator[SqlStore]:
    """Open the store at ``url``, ``sqlite:///path.db`` or any PostgreSQL URL, and close it at the end.

    ``migrate`` brings the schema, and the indexes of ``search``, to this release first; unless said otherwise that
    is done for a SQLite file and not for a server, where ``hansard db upgrade`` does it. ``provision_users`` makes
    unknown users on their first write. ``role``, ``pool_size`` and ``prepare`` are for PostgreSQL, see
    `hansard.database.session.open_database`. Raises `ConfigurationError`, `DatabaseUnavailable`.
    """
    if parse_url(url).is_sqlite if migrate is None else migrate:
        await asyncio.to_thread(_prepare, url, search, role)
    database = await open_database(url, role=role, pool_size=pool_size, prepare=prepare)
    store = SqlStore(database, provision_users=provision_users, max_item_bytes=max_item_bytes, search=search)
    try:
        yield store
    finally:
        for close in store.before_close:
            await close()
        await database.close()


def _prepare(url: str, search: SearchSettings, role: str) -> None:
    told = [] if parse_url(url).is_sqlite and standing.is_newest(url) else _upgrade(url, role)
    for one in [*told, *search_index.apply(url, search, role=role)]:
        _log.warning(one)


def _upgrade(url: str, role: str) -> list[str]:
    from hansard.database import migrations  # noqa: PLC0415 - loads Alembic, which most processes never need

    return migrations.upgrade(url, role=role)
