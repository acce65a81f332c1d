"""Search on SQLite: the full-text tables, the triggers that fill them, and functions that count as PostgreSQL does.

The tables index what stands in ``messages`` and hold no text themselves. They are joined to it by ids of their own,
because VACUUM may renumber the rows of a table whose key is no integer. Triggers write them, so that nothing that
deletes messages, a cascade least of all, can forget it.

Words are dear to index one message at a time, and cheap many at a time. So a message waits: of its conversation it is
noted from where on messages may wait, once, so that the messages after it cost no page more to write. What waits is
indexed when there is a batch of it (`dialects.sqlite_index`), and before a search, so that whoever searches finds
everything. To note too much does no harm: a message that is indexed already is passed over, and where there is none any
more there is nothing to index.

Other programs may write to the file, too. What they do with REPLACE or IGNORE, or to the key of a message, must not
leave an entry of which nobody knows the text any more: indexing would fail from then on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError

from hansard.errors import ConfigurationError, SchemaOutdated
from hansard.models.search import SEARCHED_CODE_POINTS, SearchMode

EXCERPT_BEFORE: Final = 400
_TRIGRAMS_SINCE: Final = (3, 34)

# SQLite knows the characters of Unicode 6.1 and takes all later ones for letters: the emoji among them are named here.
_EMOJI: Final = "".join(map(chr, range(0x1F300, 0x1FB00)))

# An entry that stands already, though no trigger leaves one, is ignored: it must not keep all others from the index.
INDEX_WAITING: Final = (
    """INSERT OR IGNORE INTO search_ids (user_id, conversation_id, position)
        SELECT m.user_id, m.conversation_id, m.position FROM search_waiting AS w CROSS JOIN messages AS m
        WHERE m.user_id = w.user_id AND m.conversation_id = w.conversation_id
            AND m.position BETWEEN w.first AND w.last""",
    "DELETE FROM search_waiting",
)
_ONWARD: Final = 2**63 - 1
_NEW: Final = "SELECT new.user_id, new.conversation_id, new.position"
_OLD: Final = "SELECT old.user_id, old.conversation_id, old.position"
# What REPLACE takes out of the way of a row without calling any trigger. Joined by OR, these would use no index.
_IN_THE_WAY: Final = (
    """SELECT user_id, conversation_id, position FROM messages
        WHERE user_id = new.user_id AND conversation_id = new.conversation_id AND position = new.position""",
    """SELECT user_id, conversation_id, position FROM messages
        WHERE user_id = new.user_id AND conversation_id = new.conversation_id AND client_id = new.client_id""",
    """SELECT user_id, conversation_id, position FROM messages
        WHERE user_id = new.user_id AND public_id = new.public_id""",
    "SELECT user_id, conversation_id, position FROM messages WHERE rowid = new.rowid",
)
_SOME_ARE_IN_THE_WAY: Final = " OR ".join(f"EXISTS ({rows})" for rows in _IN_THE_WAY)
_CHANGE: Final = "UPDATE OF user_id, conversation_id, position, content, client_id, public_id"


def _wait(message: str) -> str:
    """Note a message alone, unless it is noted."""
    return f"""INSERT INTO search_waiting SELECT m.*, m.position FROM ({message}) AS m
            WHERE NOT EXISTS (SELECT 1 FROM search_waiting AS w WHERE w.user_id = m.user_id
                AND w.conversation_id = m.conversation_id AND m.position BETWEEN w.first AND w.last)"""  # noqa: S608 - ours


def _forget(message: str) -> str:
    """Take a message out of the index while its text is known."""
    return f"DELETE FROM search_ids WHERE (user_id, conversation_id, position) IN ({message})"  # noqa: S608 - ours


# What may be about to change is forgotten, and waits, too: IGNORE may leave it what it was.
_SUSPEND_THEM: Final = "; ".join(f"{_wait(rows)}; {_forget(rows)}" for rows in _IN_THE_WAY)


# Every name with its definition, in the order in which they can be made. Whose message it is stands in the index like
# a word, so that a search walks its own user's entries only. A table without text of its own must be told what it is
# to forget, hence BEFORE. The length is `hansard.models.search.SEARCHED_CODE_POINTS`.
_COMMON: Final = {
    "search_ids": """CREATE TABLE search_ids (
        id INTEGER PRIMARY KEY, user_id VARCHAR(255) NOT NULL, conversation_id CHAR(32) NOT NULL,
        position BIGINT NOT NULL, UNIQUE (user_id, conversation_id, position))""",
    "search_texts": """CREATE VIEW search_texts AS
        SELECT i.id, hex(m.user_id) AS owner, substr(m.content, 1, 200000) AS content
        FROM search_ids AS i JOIN messages AS m USING (user_id, conversation_id, position)""",
    "search_waiting": """CREATE TABLE search_waiting (
        user_id VARCHAR(255) NOT NULL, conversation_id CHAR(32) NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL,
        PRIMARY KEY (user_id, conversation_id, first, last)) WITHOUT ROWID""",
    "search_inserting": f"""CREATE TRIGGER search_inserting BEFORE INSERT ON messages
        WHEN {_SOME_ARE_IN_THE_WAY} BEGIN
        {_SUSPEND_THEM}; END""",
    "search_inserted": f"""CREATE TRIGGER search_inserted AFTER INSERT ON messages
        WHEN NOT EXISTS (SELECT 1 FROM search_waiting WHERE user_id = new.user_id
            AND conversation_id = new.conversation_id AND new.position BETWEEN first AND last) BEGIN
        INSERT INTO search_waiting {_NEW}, {_ONWARD}; END""",  # noqa: S608 - ours
    "search_deleted": f"""CREATE TRIGGER search_deleted BEFORE DELETE ON messages BEGIN
        {_forget(_OLD)}; END""",
    "search_changing": f"""CREATE TRIGGER search_changing BEFORE {_CHANGE} ON messages BEGIN
        {_SUSPEND_THEM}; {_wait(_OLD)}; {_forget(_OLD)}; END""",
    "search_changed": f"""CREATE TRIGGER search_changed AFTER {_CHANGE} ON messages BEGIN
        {_wait(_NEW)}; END""",
    "search_conversation_deleted": """CREATE TRIGGER search_conversation_deleted AFTER DELETE ON conversations BEGIN
        DELETE FROM search_waiting WHERE user_id = old.user_id AND conversation_id = old.id; END""",
}
_WORDS: Final = {
    "message_words": f"""CREATE VIRTUAL TABLE message_words USING fts5(
        owner, content, content='search_texts', content_rowid='id', columnsize=0,
        tokenize="unicode61 remove_diacritics 0 categories 'L* N* M*' separators '{_EMOJI}'")""",
    "message_words_added": """CREATE TRIGGER message_words_added AFTER INSERT ON search_ids BEGIN
        INSERT INTO message_words (rowid, owner, content)
        SELECT id, owner, content FROM search_texts WHERE id = new.id; END""",
    "message_words_forgotten": """CREATE TRIGGER message_words_forgotten BEFORE DELETE ON search_ids BEGIN
        INSERT INTO message_words (message_words, rowid, owner, content)
        SELECT 'delete', id, owner, content FROM search_texts WHERE id = old.id; END""",
}
_SUBSTRINGS: Final = {
    "message_text": """CREATE VIRTUAL TABLE message_text USING fts5(
        content, content='search_texts', content_rowid='id', columnsize=0, tokenize='trigram')""",
    "message_text_added": """CREATE TRIGGER message_text_added AFTER INSERT ON search_ids BEGIN
        INSERT INTO message_text (rowid, content) SELECT id, content FROM search_texts WHERE id = new.id; END""",
    "message_text_forgotten": """CREATE TRIGGER message_text_forgotten BEFORE DELETE ON search_ids BEGIN
        INSERT INTO message_text (message_text, rowid, content)
        SELECT 'delete', id, content FROM search_texts WHERE id = old.id; END""",
}
_OBJECTS: Final[dict[SearchMode, dict[str, str]]] = {
    "off": {},
    "words": _COMMON | _WORDS,
    "words+substring": _COMMON | _WORDS | _SUBSTRINGS,
}
_EVERYTHING: Final = _OBJECTS["words+substring"]
# The triggers index what this brings.
_FILL: Final = """INSERT INTO search_ids (user_id, conversation_id, position)
    SELECT user_id, conversation_id, position FROM messages"""


def apply(connection: Connection, mode: SearchMode) -> None:
    """Bring the tables and triggers to the setting; what stands already is left alone."""
    if not inspect(connection).has_table("messages"):
        raise SchemaOutdated("the database has no search yet; run: hansard db upgrade")
    wanted = _OBJECTS[mode]
    if _standing(connection) == wanted:
        return
    remove(connection)
    if not wanted:
        return
    try:
        for definition in wanted.values():
            connection.exec_driver_sql(definition)
    except DBAPIError as error:
        raise _unavailable(error, mode) from error
    connection.exec_driver_sql(_FILL)


def remove(connection: Connection) -> None:
    """Drop everything that search needs beside the messages."""
    standing = _standing(connection)
    # Earlier databases have it, and no table could be renamed while it speaks of columns that are gone.
    connection.exec_driver_sql("DROP VIEW IF EXISTS search_suspended")
    for name in reversed(_EVERYTHING):
        if name in standing:
            kind = _EVERYTHING[name].split()[1].replace("VIRTUAL", "TABLE")
            connection.exec_driver_sql(f"DROP {kind} {name}")


def _standing(connection: Connection) -> dict[str, str]:
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master")
    return {name: sql for name, sql in rows if name in _EVERYTHING}


def _unavailable(error: DBAPIError, mode: SearchMode) -> ConfigurationError:
    lacking, remedy = "the FTS5 extension", "off"
    if mode == "words+substring" and sqlite3.sqlite_version_info < _TRIGRAMS_SINCE:
        lacking, remedy = "trigrams, which came with 3.34", "words"
    return ConfigurationError(
        f"this SQLite ({sqlite3.sqlite_version}) lacks {lacking}: {error.orig}; set HANSARD_SEARCH={remedy}"
    )


@lru_cache(maxsize=64)
def _texts(array: str) -> tuple[str, ...]:
    return tuple(json.loads(array))


def rank(beginning: str, marks: str) -> int:
    """Count how often the texts stand in the beginning of a message; the same sum as in revision 0006."""
    low = beginning.lower()
    times = (low.count(mark) for mark in _texts(marks))
    return sum(1_000_000 * count // (1000 * count + 1000 + len(low)) for count in times)


def excerpt_start(content: str, marks: str) -> int:
    """Return where (from 1) the part of a message begins that shows the first of the texts."""
    low = content[:SEARCHED_CODE_POINTS].lower()
    places = [place for place in map(low.find, _texts(marks)) if place >= 0]
    return max(1, min(places, default=0) + 1 - EXCERPT_BEFORE)


def contains_all(content: str, texts: str) -> bool:
    """Say whether every text is in the content."""
    low = content.lower()
    return all(one in low for one in _texts(texts))


def contains_any(content: str, texts: str) -> bool:
    """Say whether one of the texts is in the content."""
    low = content.lower() if texts != "[]" else ""
    return any(one in low for one in _texts(texts))


FUNCTIONS: Final[dict[str, Callable[[str, str], int]]] = {
    "hansard_rank": rank,
    "excerpt_start": excerpt_start,
    "contains_all": contains_all,
    "contains_any": contains_any,
}
