"""Open a store from a URL: what an application that imports Hansard calls first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hansard.database import migrations, open_database
from hansard.database.urls import parse_url
from hansard.models.limits import ITEM_BYTES
from hansard.store.sql import SqlStore


@asynccontextmanager
async def open_store(
    url: str, *, migrate: bool | None = None, provision_users: bool = True, max_item_bytes: int = ITEM_BYTES
) -> AsyncIterator[SqlStore]:
    """Open the store at ``url``, ``sqlite:///path.db`` or any PostgreSQL URL, and close it at the end.

    ``migrate`` brings the schema to this release first; unless said otherwise that is done for a SQLite file and
    not for a server, where ``hansard db upgrade`` does it. ``provision_users`` makes unknown users on their first
    write. Raises `ConfigurationError`, `DatabaseUnavailable`.
    """
    if parse_url(url).is_sqlite if migrate is None else migrate:
        await asyncio.to_thread(migrations.upgrade, url)
    database = await open_database(url)
    store = SqlStore(database, provision_users=provision_users, max_item_bytes=max_item_bytes)
    try:
        yield store
    finally:
        for close in store.before_close:
            await close()
        await database.close()
