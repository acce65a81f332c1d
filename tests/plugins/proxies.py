"""Fixtures that put a network of our own between the store and a real PostgreSQL."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from hansard.database import migrations
from tests.support.observers import PostgresObserver
from tests.support.pg_server import PostgresServer
from tests.support.proxy import Proxy, proxied

TEMPLATE = "migrated"  # as in the plugin `stores`; one plugin cannot import another


@pytest.fixture(scope="module")
def pg_url(pg_server: PostgresServer) -> Iterator[str]:
    """The URL of a migrated database of this module."""
    pg_server.make_template(TEMPLATE, migrations.upgrade)
    url = pg_server.clone(TEMPLATE)
    yield url
    pg_server.assert_unused(url)
    pg_server.drop(url)


@pytest.fixture(scope="module")
def pg_observer(pg_url: str) -> Iterator[PostgresObserver]:
    """A look at the database of `pg_url` from outside, past the proxy."""
    observer = PostgresObserver(pg_url)
    yield observer
    observer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pg_proxy(pg_url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy in front of the database of `pg_url`, and the URL that leads through it."""
    async with proxied(pg_url) as found:
        yield found
