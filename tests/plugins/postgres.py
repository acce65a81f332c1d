"""Fixtures that hand out databases of a real PostgreSQL server. Where none can be started the tests fail, never skip.

Each xdist worker starts a server of its own when its first test asks for one. One server for all workers would save
under a second for each, but roles belong to a whole server, so workers would meet in tests of grants and migrations;
and somebody would have to know which worker is the last.
"""

from collections.abc import Iterator

import pytest

from tests.support.pg_server import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def pg_server() -> Iterator[PostgresServer]:
    """The server of this session or worker. Prepare databases by its `make_template`, take them by its `clone`."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def pg_empty_url(pg_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database that only this test uses."""
    url = pg_server.clone()
    yield url
    pg_server.drop(url)
