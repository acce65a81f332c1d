"""Whatever SQLite refuses to the thread that writes, nobody is left waiting and nothing stays held."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from hansard.database.dialects import sqlite_writer
from hansard.database.dialects.sqlite import SqliteBackend
from hansard.database.dialects.sqlite_connection import Connection, connect
from hansard.database.dialects.sqlite_writer import Block, Control
from hansard.errors import DatabaseError, DatabaseUnavailable, OutcomeUnknown

# Long enough for any machine, and far from for ever.
PATIENCE = 30


@pytest.fixture
def connection(tmp_path):
    made = connect(tmp_path / "some.db")
    yield made
    made.close()


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
    block.serve(connection)
    block.ask(late)
    with pytest.raises(DatabaseError, match="is over"):
        await asyncio.wait_for(late.result(), PATIENCE)
    refuse(connection)
    sqlite_writer._serve_block(connection, after)
    assert await asyncio.wait_for(after.begun.result(), PATIENCE)


async def test_a_commit_that_fails_and_cannot_be_undone_is_in_doubt(connection):
    job = sqlite_writer.Job([])
    refuse(connection, "COMMIT", "ROLLBACK")
    sqlite_writer._serve_group(connection, [job])
    with pytest.raises(OutcomeUnknown):
        await asyncio.wait_for(job.result(), PATIENCE)
