"""Migrations wait for one another, and not for ever for anybody else."""

import multiprocessing
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import text

from hansard.database import migration_turn, migrations, search_index
from hansard.database.direct import connect
from hansard.database.urls import parse_url
from hansard.errors import ConfigurationError, DatabaseError, DatabaseUnavailable
from hansard.models.search import SearchSettings
from tests.support.pg_server import PostgresServer
from tests.support.phase2 import INSTALLATIONS, OldBackend

# For what is waited for in vain; the other for what comes as soon as a busy machine allows.
IMPATIENT = migrations.Limits(lock=0.2, statement=60, turn=0.2)
PATIENT = migrations.Limits(lock=60)
WORKERS = 4


def upgrade_together(url: str, barrier: threading.Barrier) -> None:
    barrier.wait(60)
    migrations.upgrade(url)


@pytest.fixture
def adoptable(pg_empty_url: str) -> str:
    OldBackend(pg_empty_url, INSTALLATIONS[0]).make()
    return pg_empty_url


def wait_for_lock(url: str, *, mode: str) -> None:
    """Return as soon as somebody waits for a table in this mode."""
    deadline = time.monotonic() + 30
    with psycopg.connect(url, autocommit=True) as connection:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = %s"
        while connection.execute(waiting, [mode]).fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_workers_may_boot_at_once(request, tmp_path, kind):
    """Processes, as workers are; each finds the schema ready and none an error."""
    url = f"sqlite:///{tmp_path / 'x.db'}" if kind == "sqlite" else request.getfixturevalue("pg_empty_url")
    processes = multiprocessing.get_context("spawn")
    with processes.Manager() as manager, ProcessPoolExecutor(WORKERS, mp_context=processes) as pool:
        barrier = manager.Barrier(WORKERS)
        for done in [pool.submit(upgrade_together, url, barrier) for _ in range(WORKERS)]:
            done.result(90)
    assert migrations.current(url) == migrations.head()
    assert migrations.check(url) == []


def test_a_migration_says_who_keeps_it_waiting(pg_empty_url):
    url = parse_url(pg_empty_url)
    with migration_turn.turn(url, IMPATIENT), psycopg.connect(pg_empty_url) as connection:
        [(pid,)] = connection.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"
        ).fetchall()
        with pytest.raises(DatabaseUnavailable, match=f"server pid {pid}.*nothing was changed"):
            migrations.upgrade(pg_empty_url, limits=IMPATIENT)
        assert connection.execute("SELECT to_regclass('conversations')").fetchone() == (None,)
    migrations.upgrade(pg_empty_url)


def test_a_dead_migration_keeps_nobody_waiting(pg_empty_url):
    killed = "SELECT pg_terminate_backend(pid, 30000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    with (
        pytest.raises(DatabaseUnavailable),
        migration_turn.turn(parse_url(pg_empty_url), IMPATIENT),
        psycopg.connect(pg_empty_url) as connection,
    ):
        assert connection.execute(killed).fetchall() == [(True,)]
    migrations.upgrade(pg_empty_url)


def test_threads_of_one_process_take_turns(pg_server, tmp_path):
    urls = [f"sqlite:///{tmp_path / 'x.db'}", *(pg_server.clone() for _ in range(2))]
    barrier = threading.Barrier(2 * len(urls))

    def upgrade(url: str) -> None:
        barrier.wait(30)
        migrations.upgrade(url)

    with ThreadPoolExecutor(2 * len(urls)) as pool:
        list(pool.map(upgrade, 2 * urls))
    assert [migrations.check(url) for url in urls] == [[]] * len(urls)


def test_two_schemas_of_one_database_do_not_wait_for_one_another(pg_empty_url):
    with psycopg.connect(pg_empty_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA other")
    other = f"{pg_empty_url}?options=-csearch_path%3Dother"
    processes = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with processes as pool, migration_turn.turn(parse_url(pg_empty_url), IMPATIENT):
        pool.submit(migrations.upgrade, other).result(60)
    assert migrations.check(other) == []
    assert migrations.current(pg_empty_url) is None
    migrations.upgrade(pg_empty_url)
    assert migrations.check(pg_empty_url) == []


def test_a_schema_may_have_any_name(pg_empty_url):
    with psycopg.connect(pg_empty_url, autocommit=True) as connection:
        connection.execute('CREATE SCHEMA "My ""own"""')
    url = f"{pg_empty_url}?options=-csearch_path%3D%22My%5C%20%22%22own%22%22%22"
    migrations.upgrade(url)
    assert search_index.apply(url, SearchSettings("words+substring")) == []
    assert migrations.check(url) == []
    migrations.downgrade(url, "base")


def test_a_login_without_a_schema_is_told_so(pg_empty_url):
    with pytest.raises(ConfigurationError, match="search_path"):
        migrations.upgrade(f"{pg_empty_url}?options=-csearch_path%3Dnowhere")


@pytest.mark.parametrize("table", ["task", '"user"'])
def test_a_table_that_others_keep_locked_is_not_waited_for_long(adoptable, table):
    with psycopg.connect(adoptable) as connection:
        connection.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())
        with pytest.raises(DatabaseUnavailable, match=r"locked by others for 0\.2 s; nothing was changed"):
            migrations.upgrade(adoptable, limits=IMPATIENT)
        assert connection.execute("SELECT to_regclass('conversations')").fetchone() == (None,)
    migrations.upgrade(adoptable)


def test_a_transaction_of_the_old_backend_is_never_the_victim_of_a_deadlock(adoptable):
    """It wrote to one table, the migration comes, and it goes on with the other table."""
    for first, second in [("task", '"user"'), ('"user"', "task")]:
        with ThreadPoolExecutor(1) as pool, psycopg.connect(adoptable) as connection:
            connection.execute(f"LOCK TABLE {first} IN ROW EXCLUSIVE MODE".encode())
            upgrading = pool.submit(migrations.upgrade, adoptable, limits=PATIENT)
            if first == "task":
                wait_for_lock(adoptable, mode="AccessExclusiveLock")
            connection.execute(f"LOCK TABLE {second} IN ROW EXCLUSIVE MODE".encode())
            connection.commit()
            upgrading.result(30)
        migrations.downgrade(adoptable, "base")


def test_a_statement_that_takes_too_long_is_cancelled(pg_empty_url):
    limits = migrations.Limits(statement=0.05)
    with (
        pytest.raises(DatabaseUnavailable, match=r"longer than 0\.05 s"),
        connect(parse_url(pg_empty_url), limits=limits) as connection,
    ):
        connection.execute(text("SELECT pg_sleep(30)"))


def test_the_limits_end_with_the_transaction(pg_empty_url):
    with connect(parse_url(pg_empty_url), limits=IMPATIENT) as connection:
        show = text("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
        assert connection.execute(show).one() == ("200ms", "1min")
        connection.commit()
        raw = connection.connection.driver_connection
        assert raw is not None
        assert raw.execute("SELECT current_setting('lock_timeout')").fetchone() == ("0",)
        raw.rollback()


def test_a_server_that_is_not_there_is_named_without_its_password(pg_server: PostgresServer):
    url = pg_server.url("missing")
    with pytest.raises(DatabaseUnavailable, match="missing") as caught:
        migrations.upgrade(url)
    assert str(urlsplit(url).password) not in str(caught.value)


def test_what_the_server_refuses_is_told_without_rows(pg_empty_url):
    with pytest.raises(DatabaseError, match="SQLSTATE 22012"), connect(parse_url(pg_empty_url)) as connection:
        connection.execute(text("SELECT 1 / 0"))


class TestASqliteFile:
    def test_is_readable_by_its_owner_alone(self, tmp_path):
        path = tmp_path / "x.db"
        migrations.upgrade(f"sqlite:///{path}")
        assert path.stat().st_mode & 0o777 == 0o600

    def test_keeps_the_permissions_that_it_has(self, tmp_path):
        path = tmp_path / "x.db"
        path.touch(mode=0o644)
        path.chmod(0o644)
        migrations.upgrade(f"sqlite:///{path}")
        assert path.stat().st_mode & 0o777 == 0o644

    def test_is_not_made_by_looking(self, tmp_path):
        path = tmp_path / "x.db"
        assert migrations.current(f"sqlite:///{path}") is None
        with pytest.raises(DatabaseUnavailable, match="hansard db upgrade"):
            migrations.check(f"sqlite:///{path}")
        assert not path.exists()

    def test_in_a_folder_that_is_not_there_is_an_error_of_one_line(self, tmp_path):
        with pytest.raises(DatabaseUnavailable, match="cannot open"):
            migrations.upgrade(f"sqlite:///{tmp_path / 'missing' / 'x.db'}")
