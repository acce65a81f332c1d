"""Fixtures of the HTTP tests: a live server on each kind of database, and people who use it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.live import LiveServer, Person, serving, settings_for


@pytest.fixture(scope="module")
def server(database_url: str) -> Iterator[LiveServer]:
    """A server in front of this module's database, once for each kind of database."""
    with serving(settings_for(database_url)) as live:
        yield live


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite file of this test alone."""
    path = tmp_path / "hansard.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def sqlite_server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server on SQLite, for what does not depend on the database."""
    path = tmp_path_factory.mktemp("database") / "hansard.db"
    shutil.copy(sqlite_template, path)
    with serving(settings_for(f"sqlite:///{path}")) as live:
        yield live


@pytest.fixture
def ann(server: LiveServer) -> Person:
    """Somebody the server has never seen."""
    return server.newcomer()


@pytest.fixture
def bob(server: LiveServer) -> Person:
    """Somebody else."""
    return server.newcomer()
