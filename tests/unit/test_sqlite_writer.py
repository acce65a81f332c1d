"""Whatever SQLite refuses, each script is whole or not there, and nobody is left waiting or told what is not so."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from hansard.database.dialects import sqlite_connection, sqlite_readers, sqlite_writer
from hansard.database.dialects.sqlite import SqliteBackend
from hansard.database.dialects.sqlite_connection import Connection, connect, run_script
from hansard.database.dialects.sqlite_index import Batch
from hansard.database.dialects.sqlite_tickets import Ticket, tell
from hansard.database.dialects.sqlite_writer import Block, Control, Job
from hansard.database.statement import Prepared, PreparedCall, Rows
from hansard.database.violations import ConstraintViolation
from hansard.errors import DatabaseError, DatabaseUnavailable, OutcomeUnknown
from hansard.utils.witness import Witness, watching

# Long enough for any machine, and far from for ever.
PATIENCE = 30


@pytest.fixture
def connection(tmp_path):
    made = connect(tmp_path / "some.db")
    yield made
    made.close()


async def end_of(ticket: Ticket) -> object:
    """Return what came of it, or fail where nobody ever tells."""
    told = asyncio.ensure_future(ticket.result())
    await asyncio.wait([told], timeout=PATIENCE)
    was_told = told.done()
    tell([ticket])  # the loop could not end while somebody waits
    assert was_told
    return await told


def refuse(connection: Connection, *refused: str) -> None:
    """Let the connection fail at these statements of transaction control, as a failing disk would."""

    def allows(action: int, first: str | None, *_: object) -> int:
        denied = action == sqlite3.SQLITE_TRANSACTION and first in refused
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    connection.set_authorizer(allows)


async def test_a_path_that_no_file_can_have_is_an_error_that_is_told():
    with pytest.raises(DatabaseUnavailable, match="cannot open"):
        await asyncio.wait_for(SqliteBackend.open(Path("no\0file.db")), PATIENCE)


async def test_a_block_that_cannot_be_undone_ends_all_the_same_and_the_next_begins(connection, monkeypatch):
    monkeypatch.setattr(sqlite_writer, "TRANSACTION_SECONDS", 0.0)
    block, late, after = Block(), Control("COMMIT"), Block()
    connection.execute("BEGIN IMMEDIATE")
    refuse(connection, "ROLLBACK")
    block.serve(connection, Batch())
    block.ask(late)
    with pytest.raises(DatabaseError, match="is over"):
        await end_of(late)
    refuse(connection)
    sqlite_writer._serve_block(connection, after, Batch())
    assert await end_of(after.begun)


async def test_a_commit_that_fails_and_cannot_be_undone_is_in_doubt(connection):
    job = Job([])
    refuse(connection, "COMMIT", "ROLLBACK")
    sqlite_writer._serve_group(connection, [job])
    with pytest.raises(OutcomeUnknown):
        await end_of(job)


def script(*statements: str) -> list[PreparedCall]:
    dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
    return [PreparedCall(Prepared(text(statement), dialect), []) for statement in statements]


def numbers(connection: Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT number FROM t ORDER BY number")]


@pytest.fixture
def table(connection: Connection) -> Connection:
    """A connection to a file with a table of numbers, each of which stands in it once."""
    connection.execute("CREATE TABLE t (number INTEGER PRIMARY KEY)")
    return connection


async def test_a_failed_script_undoes_all_of_its_own_and_nothing_else(table):
    well, after = Job(script("INSERT INTO t VALUES (1)")), Job(script("INSERT INTO t VALUES (3)"))
    badly = Job(script("INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (1)"))
    sqlite_writer._serve_group(table, [well, badly, after])
    assert [await end_of(well), await end_of(after)] == [[[]], [[]]]
    with pytest.raises(ConstraintViolation):
        await end_of(badly)
    assert numbers(table) == [1, 3]


async def test_a_transaction_that_sqlite_gives_up_is_a_failure_of_all_who_are_in_it(table):
    well, after = Job(script("INSERT INTO t VALUES (1)")), Job(script("INSERT INTO t VALUES (2)"))
    badly = Job(script("INSERT OR ROLLBACK INTO t VALUES (1)"))
    sqlite_writer._serve_group(table, [well, badly, after])
    for job in (well, badly, after):
        with pytest.raises(DatabaseUnavailable, match="nothing was written"):
            await end_of(job)
    assert numbers(table) == []


async def test_a_script_withdrawn_from_a_block_is_left_out_of_it(table):
    block, withdrawn, commit = Block(), Job(script("INSERT INTO t VALUES (1)")), Control("COMMIT")
    table.execute("BEGIN IMMEDIATE")
    for step in (withdrawn, Job(script("INSERT INTO t VALUES (2)")), commit):
        block.ask(step)
    assert withdrawn.claim()
    block.serve(table, Batch())
    assert await end_of(commit)
    assert numbers(table) == [2]


async def test_a_script_that_reads_sees_one_moment_whoever_writes_meanwhile(table, tmp_path, monkeypatch):
    def run_slowly(connection: Connection, calls: list[PreparedCall]) -> list[Rows]:
        first = run_script(connection, calls[:1])
        table.execute("INSERT INTO t VALUES (1)")
        return first + run_script(connection, calls[1:])

    monkeypatch.setattr(sqlite_readers, "run_script", run_slowly)
    backend = await SqliteBackend.open(tmp_path / "some.db")
    seen = await backend.read("ann", script("SELECT count(*) FROM t", "SELECT count(*) FROM t"))
    await backend.close()
    assert seen == [[(0,)], [(0,)]]
    assert numbers(table) == [1]


@pytest.mark.parametrize("in_block", [False, True], ids=["script", "block"])
async def test_whoever_watches_hears_of_a_commit_in_doubt(tmp_path, monkeypatch, in_block):
    def failing(path: Path) -> Connection:
        made = connect(path)
        refuse(made, "COMMIT", "ROLLBACK")
        return made

    monkeypatch.setattr(sqlite_writer, "connect", failing)
    backend, seen = await SqliteBackend.open(tmp_path / "some.db"), Witness()

    async def write() -> None:
        if not in_block:
            await backend.write("ann", [], idempotent=False)
            return
        async with backend.transaction("ann"):
            pass

    with watching(seen), pytest.raises(OutcomeUnknown):
        await write()
    await backend.close()
    assert (seen.done, seen.in_doubt) == (False, True)


async def test_what_went_well_beside_a_failure_is_no_success_before_it_is_committed(connection):
    well, badly = Job([]), Job(script("SELECT no_such_column"))
    refuse(connection, "COMMIT")
    sqlite_writer._serve_group(connection, [well, badly])
    for job in (well, badly):
        with pytest.raises(DatabaseError):
            await end_of(job)


async def test_what_is_asked_of_a_block_that_just_ends_is_refused(connection):
    block, commit, late = Block(), Control("COMMIT"), Job([])
    connection.execute("BEGIN IMMEDIATE")
    block.ask(commit)
    block.ask(late)
    block.serve(connection, Batch())
    assert await end_of(commit)
    with pytest.raises(DatabaseError, match="is over"):
        await end_of(late)


async def test_work_that_nobody_took_yet_is_withdrawn_at_once_and_not_taken_any_more():
    ticket = Ticket[bool]()
    waiting = asyncio.create_task(ticket.result(withdraw=True))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting], timeout=PATIENCE)
    has_left = waiting.cancelled()
    tell([ticket])
    assert has_left
    assert not ticket.claim()


@pytest.mark.parametrize("in_block", [False, True], ids=["script", "block"])
async def test_whoever_leaves_while_another_process_holds_the_file_waits_for_nothing(
    table, tmp_path, monkeypatch, in_block
):
    begin, begins, seen = sqlite_writer._begin, threading.Event(), Witness()

    def watched(connection: Connection) -> None:
        begins.set()
        begin(connection)

    monkeypatch.setattr(sqlite_writer, "_begin", watched)
    backend = await SqliteBackend.open(tmp_path / "some.db")

    async def write() -> None:
        if not in_block:
            await backend.write("ann", script("INSERT INTO t VALUES (1)"), idempotent=False)
            return
        async with backend.transaction("ann") as transaction:
            await transaction.run(script("INSERT INTO t VALUES (1)"))

    table.execute("BEGIN IMMEDIATE")
    with watching(seen):
        leaving = asyncio.create_task(write())
    await asyncio.to_thread(begins.wait, PATIENCE)
    leaving.cancel()
    await asyncio.wait([leaving], timeout=sqlite_connection.BUSY_SECONDS / 3)
    has_left = leaving.cancelled()
    table.execute("ROLLBACK")
    await backend.write("ann", script("INSERT INTO t VALUES (2)"), idempotent=False)
    await backend.close()
    assert has_left
    assert numbers(table) == [2]
    assert (seen.done, seen.in_doubt) == (False, False)


def test_whoever_is_still_there_is_told_although_the_loop_of_others_is_closed():
    async def take() -> Ticket[bool]:
        return Ticket()

    async def tell_both(gone: Ticket[bool]) -> object:
        ticket = await take()
        gone.outcome = ticket.outcome = True
        tell([gone, ticket])
        return await end_of(ticket)

    assert asyncio.run(tell_both(asyncio.run(take())))


async def test_scripts_that_wait_together_share_a_commit_and_keep_their_place_around_a_block(tmp_path, monkeypatch):
    said: list[str] = []

    def watched(path: Path) -> Connection:
        made = connect(path)
        made.set_trace_callback(said.append)
        return made

    monkeypatch.setattr(sqlite_writer, "connect", watched)
    writer = sqlite_writer.Writer(tmp_path / "some.db")
    before, block, after = [Job([]) for _ in range(5)], Block(), [Job([]) for _ in range(3)]
    end = Control("COMMIT")
    block.ask(end)
    for job in before:
        writer.submit(job)
    writer.submit(block)
    for job in after:
        writer.submit(job)
    writer.stop()
    writer.start()
    tickets: list[Ticket] = [*before, block.begun, end, *after]
    for ticket in tickets:
        await end_of(ticket)
    await asyncio.to_thread(writer.join, PATIENCE)
    assert said == ["BEGIN IMMEDIATE", "COMMIT"] * 3
