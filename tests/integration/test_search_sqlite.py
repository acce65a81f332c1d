"""What search must do on SQLite beyond the contract: its tables stay true whoever writes, and follow the setting."""

import asyncio
import re
import shutil
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy.dialects import sqlite
from typer.testing import CliRunner

from hansard.cli.main import app
from hansard.database import migrations, open_database, search_index, search_sqlite
from hansard.database.dialects import sqlite_connection, sqlite_index
from hansard.errors import DatabaseUnavailable
from hansard.models.search import SearchMode, SearchSettings
from hansard.store.sql import SqlStore
from hansard.store.statements import search_sqlite as sqlite_statements
from tests.support.store_steps import says

MODES: list[SearchMode] = ["off", "words", "words+substring"]


@pytest.fixture
def path(sqlite_template, tmp_path):
    return shutil.copy(sqlite_template, tmp_path / "hansard.db")


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


def execute(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]


def objects(path):
    return {
        name: sql
        for name, sql in execute(path, "SELECT name, sql FROM sqlite_master")
        if name in search_sqlite._EVERYTHING
    }


async def with_store(url, work, mode, user_id="ada"):
    database = await open_database(url)
    try:
        return await work(SqlStore(database, search=SearchSettings(mode)).for_user(user_id))
    finally:
        await database.close()


def write(url, *texts):
    async def work(user):
        return await user.conversations.create(items=says(*texts))

    return asyncio.run(with_store(url, work, "off"))


def find(url, query, mode: SearchMode = "words", user_id="ada"):
    async def work(user):
        return sorted("".join(piece.text for piece in hit.snippet) for hit in (await user.search.messages(query)).data)

    return asyncio.run(with_store(url, work, mode, user_id))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("before", MODES)
def test_the_setting_says_which_tables_there_are(url, path, before, mode):
    write(url, "old milk")
    for setting in (before, mode, mode):
        assert search_index.apply(url, SearchSettings(setting)) == []
    write(url, "new milk")
    assert objects(path) == search_sqlite._OBJECTS[mode]
    assert migrations.check(url) == []
    if mode != "off":
        assert find(url, "milk") == ["new milk", "old milk"]
    if mode == "words+substring":
        assert find(url, "il", mode) == ["new milk", "old milk"]


def test_what_stands_is_not_made_again(url, path):
    search_index.apply(url, SearchSettings())
    write(url, "milk")
    assert find(url, "milk") == ["milk"]
    execute(path, "UPDATE search_ids SET id = id + 1000")
    search_index.apply(url, SearchSettings())
    assert execute(path, "SELECT min(id) > 1000 FROM search_ids") == [(1,)]


def indexed(path):
    return execute(path, "SELECT count(*) FROM search_ids")[0][0]


def waiting(path):
    """Return how many notes there are: of a conversation that only grows, one."""
    return execute(path, "SELECT count(*) FROM search_waiting")[0][0]


def check_indexes(path, *names):
    for index in names:
        # The index compares itself with the texts, and raises when they differ.
        execute(path, f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")


# Texts that make a batch.
ENOUGH = {
    "many": list(map(str, range(sqlite_index.BATCH_STATEMENTS))),
    "long": ["first", "x" * sqlite_index.BATCH_CODE_POINTS],
}


@pytest.mark.parametrize("texts", ENOUGH.values(), ids=ENOUGH)
def test_what_is_written_waits_for_a_batch_and_no_longer(url, path, texts):
    search_index.apply(url, SearchSettings())
    some = texts[: len(texts) // 2 - 100] or texts[:1]
    write(url, *some)
    assert (indexed(path), waiting(path)) == (0, 1)
    write(url, *texts)
    assert (indexed(path), waiting(path)) == (len(some) + len(texts), 0)
    write(url, "one more")
    assert waiting(path) == 1
    assert find(url, "more") == ["one more"]
    assert waiting(path) == 0
    check_indexes(path, "message_words")


def test_what_is_written_in_a_block_counts_towards_a_batch(url, path):
    search_index.apply(url, SearchSettings())

    async def work(user):
        async with user.atomic():
            await user.conversations.create(items=says(*ENOUGH["many"]))

    asyncio.run(with_store(url, work, "off"))
    assert (indexed(path), waiting(path)) == (len(ENOUGH["many"]), 0)


def test_a_batch_that_cannot_be_indexed_waits_on(url, path):
    search_index.apply(url, SearchSettings())
    execute(path, "CREATE TRIGGER refusing BEFORE INSERT ON search_ids BEGIN SELECT RAISE(ABORT, 'no'); END")
    made = write(url, *ENOUGH["many"])
    assert made.message_count == len(ENOUGH["many"])
    assert (indexed(path), waiting(path)) == (0, 1)
    execute(path, "DROP TRIGGER refusing")
    assert find(url, "77") == ["77"]


def test_only_whose_own_words_wait_needs_the_file_to_be_free(url, path, monkeypatch):
    monkeypatch.setattr(sqlite_connection, "BUSY_SECONDS", 0.05)
    search_index.apply(url, SearchSettings())
    write(url, "milk")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert find(url, "milk", user_id="bob") == []
        with pytest.raises(DatabaseUnavailable, match="nothing was written"):
            find(url, "milk")
    assert find(url, "milk") == ["milk"]


@pytest.mark.parametrize("what, noted", [("messages", 1), ("conversations", 0)])
def test_what_goes_while_it_waits_is_never_indexed(url, path, what, noted):
    search_index.apply(url, SearchSettings("words+substring"))
    write(url, "milk 1", "milk 2", "milk 3")
    execute(path, "PRAGMA foreign_keys = ON", f"DELETE FROM {what}")
    assert (indexed(path), waiting(path)) == (0, noted)
    write(url, "milk 4")
    assert find(url, "milk", "words+substring") == ["milk 4"]
    assert (indexed(path), waiting(path)) == (1, 0)
    check_indexes(path, "message_words", "message_text")


def test_one_note_does_for_all_that_follows_and_a_change_notes_itself_alone(url, path):
    search_index.apply(url, SearchSettings())
    write(url, "milk 1", "milk 2", "milk 3")
    assert execute(path, "SELECT first, last FROM search_waiting") == [(1, 2**63 - 1)]
    assert find(url, "milk") == ["milk 1", "milk 2", "milk 3"]
    for content in ("bread", "rye bread"):
        execute(path, f"UPDATE messages SET content = '{content}' WHERE position = 2")
        assert execute(path, "SELECT first, last FROM search_waiting") == [(2, 2)]
    assert indexed(path) == 2
    assert find(url, "bread") == ["rye bread"]


def test_what_changes_while_it_waits_is_found_as_it_is_now(url, path):
    search_index.apply(url, SearchSettings())
    write(url, "milk 1", "milk 2")
    execute(path, "UPDATE messages SET content = 'bread' WHERE position = 1")
    execute(path, "UPDATE messages SET content = 'rye bread' WHERE position = 1")
    assert find(url, "bread -rye") == []
    assert find(url, "bread") == ["rye bread"]
    assert find(url, "milk") == ["milk 2"]
    check_indexes(path, "message_words")


@pytest.mark.parametrize("lost", ["search_inserted", "search_changed", "message_words_added", "search_deleted"])
def test_a_lost_trigger_is_noticed_and_everything_made_anew(url, path, lost):
    search_index.apply(url, SearchSettings())
    execute(path, f"DROP TRIGGER {lost}")
    write(url, "milk")
    search_index.apply(url, SearchSettings())
    assert find(url, "milk") == ["milk"]


def test_what_an_earlier_release_made_is_made_anew(url, path):
    search_index.apply(url, SearchSettings())
    write(url, "milk")
    execute(
        path,
        "DROP TABLE search_waiting",
        "CREATE TABLE search_waiting (id INTEGER PRIMARY KEY)",
        "CREATE VIEW search_suspended AS SELECT id FROM search_waiting",
    )
    search_index.apply(url, SearchSettings())
    assert find(url, "milk") == ["milk"]
    execute(path, "ALTER TABLE task RENAME TO errand")


def test_other_programs_may_write_too(url, path):
    search_index.apply(url, SearchSettings("words+substring"))
    made = write(url, "milk 1", "milk 2", "milk 3")
    execute(
        path,
        "PRAGMA foreign_keys = ON",
        "UPDATE messages SET content = 'bread' WHERE position = 1",
        "DELETE FROM messages WHERE position = 2",
        "VACUUM",
    )
    assert find(url, "milk", "words+substring") == ["milk 3"]
    assert find(url, "read", "words+substring") == ["bread"]
    execute(path, "PRAGMA foreign_keys = ON", f"DELETE FROM conversations WHERE id = '{made.id.hex}'")
    assert find(url, "milk", "words+substring") == find(url, "read", "words+substring") == []
    check_indexes(path, "message_words", "message_text")
    assert execute(path, "SELECT count(*) FROM search_ids") == [(0,)]


def another(verb, *, position="7", client_id="NULL", public_id="NULL", rowid="NULL", then=""):
    return f"""{verb} INTO messages
            (rowid, user_id, conversation_id, position, kind, client_id, public_id, content, created_at)
        SELECT {rowid}, user_id, conversation_id, {position}, kind, {client_id}, {public_id}, 'bread', created_at
        FROM messages WHERE position = 1 {then}"""


# What other programs may do to messages besides plain inserts, deletes and changes of the text.
WRITTEN_OVER = {
    "replaced where it stood": another("INSERT OR REPLACE", position="2"),
    "replaced by its client's id": another("INSERT OR REPLACE", client_id="'2'"),
    "replaced by its public id": another("INSERT OR REPLACE", public_id="X'02'"),
    "replaced by its row's number": another(
        "INSERT OR REPLACE", rowid="(SELECT rowid FROM messages WHERE position = 2)"
    ),
    "kept": another("INSERT OR IGNORE", position="2"),
    "changed instead": another("INSERT", position="2", then="ON CONFLICT DO UPDATE SET content = 'rye'"),
    "moved": "UPDATE messages SET position = position + 10",
    "moved and changed": "UPDATE messages SET position = 7, content = 'bread' WHERE position = 2",
    "moved over another": "UPDATE OR REPLACE messages SET position = 1, content = 'bread' WHERE position = 2",
    "not moved over another": "UPDATE OR IGNORE messages SET position = 1, content = 'bread' WHERE position = 2",
    "not moved, nor its row": "UPDATE OR IGNORE messages SET rowid = 99, position = 1, client_id = NULL, "
    "public_id = NULL WHERE position = 2",
    "moved with its row": "UPDATE messages SET rowid = 99, position = 7, content = 'bread' WHERE position = 2",
    "given another's public id": "UPDATE OR REPLACE messages SET public_id = X'01' WHERE position = 2",
}


@pytest.mark.parametrize("first, recursive", [("indexed", "OFF"), ("waiting", "ON")])
@pytest.mark.parametrize("statement", WRITTEN_OVER.values(), ids=WRITTEN_OVER)
def test_what_is_written_over_is_found_as_it_is_now(url, path, statement, first, recursive):
    search_index.apply(url, SearchSettings("words+substring"))
    write(url, "milk 1", "milk 2", "milk 3")
    execute(path, "UPDATE messages SET client_id = position, public_id = CAST(char(position) AS BLOB)")
    if first == "indexed":
        find(url, "milk")
    execute(path, f"PRAGMA recursive_triggers = {recursive}", statement)
    stored = [content for (content,) in execute(path, "SELECT content FROM messages ORDER BY content")]
    assert sorted(text for word in ("milk", "bread", "rye") for text in find(url, word)) == stored
    check_indexes(path, "message_words", "message_text")
    assert execute(path, "SELECT count(*) FROM search_ids") == [(len(stored),)]
    assert waiting(path) == 0


def test_a_stray_entry_keeps_nothing_else_from_the_index(url, path):
    search_index.apply(url, SearchSettings())
    write(url, "milk 1")
    place = "SELECT user_id, conversation_id, 2 FROM messages"
    execute(
        path, f"INSERT INTO search_ids (user_id, conversation_id, position) {place}", another("INSERT", position="2")
    )
    assert find(url, "milk") == ["milk 1"]
    assert waiting(path) == 0


def test_a_downgrade_leaves_nothing_of_it(url, path):
    search_index.apply(url, SearchSettings("words+substring"))
    migrations.downgrade(url, "0005")
    assert objects(path) == {}
    left = execute(path, "SELECT name FROM sqlite_master WHERE name LIKE 'message@_%' ESCAPE '@'")
    assert [name for (name,) in left] == []


@pytest.mark.parametrize("mode", MODES)
def test_the_command_brings_a_database_to_the_setting(url, path, mode, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.delenv("DATABASE_URL_DIRECT", raising=False)
    monkeypatch.setenv("HANSARD_SEARCH", mode)
    ran = CliRunner().invoke(app, ["db", "search"])
    assert (ran.exit_code, ran.output) == (0, f"Search: {mode}\n")
    assert objects(path) == search_sqlite._OBJECTS[mode]


def test_upgrading_makes_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/new.db")
    monkeypatch.delenv("DATABASE_URL_DIRECT", raising=False)
    monkeypatch.delenv("HANSARD_SEARCH", raising=False)
    assert CliRunner().invoke(app, ["db", "upgrade"]).exit_code == 0
    assert objects(tmp_path / "new.db") == search_sqlite._OBJECTS["words"]


STATEMENTS = {
    "words": sqlite_statements.WORDS,
    "words or a long part": sqlite_statements.SUBSTRINGS[True],
    "words or a short part": sqlite_statements.SUBSTRINGS[False],
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_messages_are_read_one_by_one_where_something_was_found_in_an_index(path, url, name):
    search_index.apply(url, SearchSettings("words+substring"))
    statement = STATEMENTS[name].compile(dialect=sqlite.dialect())
    with closing(sqlite3.connect(path)) as connection:
        for function, body in search_sqlite.FUNCTIONS.items():
            connection.create_function(function, 2, body)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * len(statement.positiontup or ()))
        steps = [step for *_, step in plan]
    messages = [step for step in steps if re.match(r"(SCAN|SEARCH) messages\b", step)]
    assert messages
    assert all("(user_id=? AND conversation_id=? AND position=?)" in step for step in messages), steps
    by_index = [step for step in steps if step.startswith(("SCAN search_ids", "SEARCH search_ids"))]
    # A short text is in no index: all of the user's own messages are looked at, and nobody else's.
    assert [step for step in by_index if "(rowid=?)" not in step] == (
        ["SEARCH search_ids USING COVERING INDEX sqlite_autoindex_search_ids_1 (user_id=?)"] if "short" in name else []
    )
