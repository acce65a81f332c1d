"""Fixtures that hand out real databases of every kind, ready for use, and prove that tests give them back in order.

A module's tests share a database and an event loop (`pytest.mark.asyncio(loop_scope="module")`), because they never
share a user: each one makes its own.
"""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import CoroutineType

import pytest
import pytest_asyncio

import hansard
from hansard.database import Database, migrations, open_database, search_index
from hansard.models.search import SearchSettings
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from tests.support.observers import Observer, PostgresObserver, SqliteObserver

KINDS = ["sqlite", "postgresql"]
TEMPLATE = "ready"
PACKAGE = str(Path(hansard.__file__).parent)


def make_ready(url: str) -> None:
    """Bring an empty database to where the library and the service begin."""
    migrations.upgrade(url)
    assert search_index.apply(url, SearchSettings()) == []


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that is ready for use, to be copied."""
    path = tmp_path_factory.mktemp("template") / "ready.db"
    make_ready(f"sqlite:///{path}")
    assert [left.name for left in path.parent.iterdir()] == [path.name]
    return path


@pytest.fixture(scope="module", params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database of this module that is ready for use, once for each kind."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("database") / "hansard.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("pg_server")
    server.make_template(TEMPLATE, make_ready)
    url = server.clone(TEMPLATE)
    yield url
    server.assert_unused(url)
    server.drop(url)


@pytest.fixture(scope="module")
def observer(database_url: str) -> Iterator[Observer]:
    """A look at the database from outside."""
    path = database_url.removeprefix("sqlite:///")
    found: Observer = PostgresObserver(database_url) if path == database_url else SqliteObserver(Path(path))
    yield found
    found.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(database_url: str, observer: Observer) -> AsyncIterator[Database]:
    """The module's database, open."""
    opened = await open_database(database_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def store(database: Database, observer: Observer) -> AsyncIterator[SqlStore]:
    """A store; afterwards no task is pending, no transaction open and no connection taken."""
    yield SqlStore(database)
    database.on_statement = None
    assert [task for task in asyncio.all_tasks() - {asyncio.current_task()} if _is_ours(task)] == []
    observer.assert_idle()
    pool = getattr(database._backend, "_pool", None)
    assert pool is None or pool.lent == 0


def _is_ours(task: asyncio.Task[object]) -> bool:
    coroutine = task.get_coro()
    return isinstance(coroutine, CoroutineType) and coroutine.cr_code.co_filename.startswith(PACKAGE)


@pytest.fixture
def new_user(store: SqlStore) -> Callable[[], UserStore]:
    """Make the store of somebody whom the database has never seen."""
    return lambda: store.for_user(f"user-{uuid.uuid4()}")


@pytest.fixture
def user(new_user: Callable[[], UserStore]) -> UserStore:
    """The store of somebody whom the database has never seen."""
    return new_user()
