"""Search on SQLite: the full-text tables, the triggers that fill them, and functions that count as PostgreSQL does.

The tables index what stands in ``messages`` and hold no text themselves. They are joined to it by ids of their own,
because VACUUM may renumber the rows of a table whose key is no integer. Triggers write them, so that nothing that
deletes messages, a cascade least of all, can forget it.

Words are dear to index one message at a time, and cheap many at a time. So the transaction that writes a message only
notes that it waits. What waits is indexed when there is a batch of it, and before a search, so that whoever searches
finds everything. A message waits or is indexed; what is deleted while it waits needs no index.

Other programs may write to the file, too. What they do with REPLACE or IGNORE, or to the key of a message, must not
leave an entry of which nobody knows the text any more, or a second note: indexing would fail from then on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from hansard.errors import ConfigurationError
from hansard.models.search import SEARCHED_CODE_POINTS, SearchMode

EXCERPT_BEFORE: Final = 400
# A batch: so many messages, or so many code points of text. Who writes the last of it waits for all of it, mostly for
# some 20 ms.
BATCH_MESSAGES: Final = 1024
BATCH_CODE_POINTS: Final = 256 * 1024
_TRIGRAMS_SINCE: Final = (3, 34)

# SQLite knows the characters of Unicode 6.1 and takes all later ones for letters: the emoji among them are named here.
_EMOJI: Final = "".join(map(chr, range(0x1F300, 0x1FB00)))

# What waits by an id below 1 was suspended, and may since have been replaced by something that called no trigger. An
# entry that stands already, though no trigger leaves one, is ignored: it must not keep all others from the index.
INDEX_WAITING: Final = (
    """INSERT OR IGNORE INTO search_ids (user_id, conversation_id, position)
        SELECT user_id, conversation_id, position FROM search_waiting AS w
        WHERE w.id > 0 OR EXISTS (SELECT 1 FROM messages AS m WHERE m.user_id = w.user_id
            AND m.conversation_id = w.conversation_id AND m.position = w.position) ORDER BY id""",
    "DELETE FROM search_waiting",
)
_INDEX_WAITING: Final = "; ".join(INDEX_WAITING)
# Beside each of them stands how long it is together with those before it.
_NOTE: Final = """INSERT INTO search_waiting (user_id, conversation_id, position, code_points)
        SELECT new.user_id, new.conversation_id, new.position, length(new.content)
            + coalesce((SELECT code_points FROM search_waiting ORDER BY id DESC LIMIT 1), 0)"""
# What is indexed does not wait: then nobody looks through what does.
_FORGET: Final = """DELETE FROM search_waiting
        WHERE user_id = old.user_id AND conversation_id = old.conversation_id AND position = old.position
            AND NOT EXISTS (SELECT 1 FROM search_ids
                WHERE user_id = old.user_id AND conversation_id = old.conversation_id AND position = old.position);
        DELETE FROM search_ids
        WHERE user_id = old.user_id AND conversation_id = old.conversation_id AND position = old.position"""
# What may be about to change is forgotten while its text is known, and waits, without counting towards a batch, as what
# it will be: IGNORE may leave it what it was.
_SUSPENDING: Final = """INSERT INTO search_waiting (id, user_id, conversation_id, position, code_points)
        SELECT min(0, coalesce((SELECT min(id) - 1 FROM search_waiting), 0)),
            new.user_id, new.conversation_id, new.position, 0"""
_SUSPEND: Final = "INSERT INTO search_suspended VALUES (old.user_id, old.conversation_id, old.position)"
_RESUME: Final = """DELETE FROM search_waiting WHERE id <= 0
            AND user_id = old.user_id AND conversation_id = old.conversation_id AND position = old.position"""
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
_SUSPEND_THEM: Final = "; ".join(f"INSERT INTO search_suspended {rows}" for rows in _IN_THE_WAY)
_CHANGE: Final = "UPDATE OF user_id, conversation_id, position, content, client_id, public_id"


def _of_new(sql: str) -> str:
    return sql.replace("old.", "new.")


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
        id INTEGER PRIMARY KEY, user_id VARCHAR(255) NOT NULL, conversation_id CHAR(32) NOT NULL,
        position BIGINT NOT NULL, code_points BIGINT NOT NULL)""",
    "search_batch": f"""CREATE TRIGGER search_batch AFTER INSERT ON search_waiting
        WHEN new.id >= {BATCH_MESSAGES} OR new.code_points >= {BATCH_CODE_POINTS} BEGIN
        {_INDEX_WAITING}; END""",
    "search_suspended": """CREATE VIEW search_suspended AS
        SELECT user_id, conversation_id, position FROM search_waiting WHERE id <= 0""",
    "search_suspend": f"""CREATE TRIGGER search_suspend INSTEAD OF INSERT ON search_suspended BEGIN
        {_of_new(_FORGET)}; {_SUSPENDING}; END""",
    "search_inserting": f"""CREATE TRIGGER search_inserting BEFORE INSERT ON messages
        WHEN {_SOME_ARE_IN_THE_WAY} BEGIN
        {_SUSPEND_THEM}; END""",
    "search_inserted": f"""CREATE TRIGGER search_inserted AFTER INSERT ON messages BEGIN
        {_of_new(_RESUME)}; {_NOTE}; END""",
    "search_deleted": f"""CREATE TRIGGER search_deleted BEFORE DELETE ON messages BEGIN
        {_FORGET}; END""",
    "search_changing": f"""CREATE TRIGGER search_changing BEFORE {_CHANGE} ON messages BEGIN
        {_SUSPEND_THEM}; {_SUSPEND}; END""",
    "search_changed": f"""CREATE TRIGGER search_changed AFTER {_CHANGE} ON messages BEGIN
        {_RESUME}; {_of_new(_RESUME)}; {_NOTE}; END""",
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
