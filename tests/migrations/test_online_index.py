"""An index on a table with rows is built while others write, and a failed one is no obstacle."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic import op
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import text

from hansard.database import migration_turn, online_index
from hansard.database.direct import Limits, connect
from hansard.database.urls import parse_url
from hansard.errors import DatabaseError

NAME = 'ix "notes" %s'
VALID = "SELECT indisvalid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid = to_regclass(%s)"


@pytest.fixture
def url(pg_empty_url: str) -> str:
    with psycopg.connect(pg_empty_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (user_id text, body text)")
        connection.execute("INSERT INTO notes SELECT 'u', n::text FROM generate_series(1, 500) AS n")
    return pg_empty_url


def revise(url: str, revision: Callable[[], None]) -> None:
    """Run what a revision would run, the way `hansard.database.migrations` does."""
    parsed = parse_url(url)
    limits = Limits(lock=0.2)
    with migration_turn.turn(parsed, limits), connect(parsed, limits=limits, create=True) as connection:
        context = MigrationContext.configure(connection, opts={"transactional_ddl": True})
        with context.begin_transaction(), Operations.context(context):
            revision()


def make(**options) -> None:
    online_index.create_index(NAME, "notes", ["user_id", "body"], **options)


def state(url: str) -> tuple[bool, str] | None:
    with psycopg.connect(url) as connection:
        return connection.execute(VALID, ['"ix ""notes"" %s"']).fetchone()


def test_it_is_made_and_dropped(url):
    revise(url, lambda: make(unique=True, where="body <> ''"))
    found = state(url)
    assert found is not None
    assert found[0] is True
    assert "UNIQUE" in found[1]
    assert "WHERE" in found[1]
    revise(url, lambda: online_index.drop_index(NAME, "notes"))
    assert state(url) is None


def test_writers_are_not_kept_waiting_and_the_migrations_lock_does_not_block_it(url):
    """It waits for a transaction that writes, longer than a migration may wait for a lock; others write meanwhile.

    Another migration waits for its turn all the while.
    """
    with ThreadPoolExecutor(2) as pool, psycopg.connect(url) as writer, psycopg.connect(url) as other:
        writer.execute("INSERT INTO notes VALUES ('u', 'under way')")
        building = pool.submit(revise, url, make)
        waiting = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for writers%'"
        deadline = time.monotonic() + 30
        while other.execute(waiting).fetchone() == (0,):
            other.rollback()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        next_one = pool.submit(revise, url, lambda: None)
        other.execute("INSERT INTO notes VALUES ('v', 'meanwhile')")
        other.commit()
        threading.Event().wait(0.3)
        assert not building.done()
        writer.commit()
        building.result(30)
        next_one.result(30)
    assert state(url) is not None


def test_what_a_failed_try_left_behind_is_replaced(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO notes VALUES ('u', '1')")
    with pytest.raises(DatabaseError, match="SQLSTATE 23505"):
        revise(url, lambda: make(unique=True))
    left = state(url)
    assert left is not None
    assert left[0] is False
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM notes WHERE ctid = (SELECT max(ctid) FROM notes)")
    revise(url, lambda: make(unique=True))
    found = state(url)
    assert found is not None
    assert found[0] is True


def test_one_that_is_there_is_left_alone(url):
    revise(url, make)
    before = state(url)
    revise(url, make)
    assert state(url) == before


def test_the_sessions_limits_are_as_they_were(url):
    def revision() -> None:
        make()
        shown = op.get_bind().execute(text("SELECT current_setting('lock_timeout')"))
        assert shown.scalar_one() == "200ms"

    revise(url, revision)


def test_on_sqlite_it_is_an_index_like_any_other(tmp_path):
    url = f"sqlite:///{tmp_path / 'x.db'}"

    def revision() -> None:
        op.execute(text("CREATE TABLE notes (user_id text, body text)"))
        make(unique=True, where="body <> ''")

    revise(url, revision)
    revise(url, lambda: online_index.drop_index(NAME, "notes"))
