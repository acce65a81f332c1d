"""A new SQLite file gets its log although others open it at the same moment."""

import sqlite3
import threading
from contextlib import closing

import pytest

from hansard.database.dialects import sqlite_wal

PATIENCE = 30


class Refused(sqlite3.Connection):
    """A connection that tells when it has been refused."""

    again = threading.Event()

    def execute(self, sql, *arguments):
        try:
            return super().execute(sql, *arguments)
        except sqlite3.OperationalError:
            self.again.set()
            raise


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE some (id)")
    return path


@pytest.fixture
def reader(path):
    """Somebody who reads the file as it was, and so keeps everybody from switching it."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM some").fetchall()
        yield connection


def test_who_is_refused_at_once_tries_again(path, reader):
    def let_go() -> None:
        assert Refused.again.wait(PATIENCE)
        reader.execute("COMMIT")

    letting_go = threading.Thread(target=let_go)
    letting_go.start()
    with closing(sqlite3.connect(path, timeout=0, factory=Refused)) as connection:
        sqlite_wal.turn_on(connection, seconds=PATIENCE)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    letting_go.join()


def test_not_for_ever(path, reader):
    with (
        closing(sqlite3.connect(path, timeout=0)) as connection,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        sqlite_wal.turn_on(connection, seconds=0)


def test_what_is_no_database_is_told_at_once(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("no database " * 100)
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.DatabaseError, match="not a database"):
        sqlite_wal.turn_on(connection, seconds=PATIENCE)
