"""Look at a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from hansard.database.dialects.sqlite_connection import Connection, connect, translate
from hansard.database.direct import connect as connect_directly
from hansard.database.doctor_common import examine_revision, examine_tables, examine_users
from hansard.database.findings import Finding, Grade
from hansard.database.urls import DatabaseUrl

_OLDEST = (3, 35, 0)
_OTHERS = 0o077
_SYNCHRONOUS_FULL = 2


def examine_file(url: DatabaseUrl) -> Iterator[Finding]:
    """Look at the file, and at it through a connection such as the service opens."""
    assert url.path is not None
    if not url.path.exists():
        yield Finding("file", Grade.FAILURE, f"there is no file {url.path}", "run: hansard db upgrade")
        return
    yield _version()
    yield _permissions(url.path)
    try:
        with closing(connect(url.path, read_only=True)) as connection:
            yield from _settings(connection)
            yield from _content(connection)
    except sqlite3.Error as error:
        raise translate(error) from None
    with connect_directly(url) as migrating:
        revision = examine_revision(migrating)
        yield revision
        if revision.grade is Grade.OK:
            yield from examine_tables(migrating)
            yield from examine_users(migrating)


def _version() -> Finding:
    if sqlite3.sqlite_version_info >= _OLDEST:
        return Finding("version", Grade.OK, f"SQLite {sqlite3.sqlite_version}")
    oldest = ".".join(map(str, _OLDEST))
    return Finding("version", Grade.FAILURE, f"SQLite {sqlite3.sqlite_version}", f"use a Python with {oldest} or newer")


def _permissions(path: Path) -> Finding:
    files = [path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))]
    open_ones = [file for file in files if file.exists() and file.stat().st_mode & _OTHERS]
    if not open_ones:
        return Finding("permissions", Grade.OK, "only the owner may read the file")
    names = " ".join(str(file) for file in open_ones)
    return Finding("permissions", Grade.WARNING, f"others may open {names}", f"run: chmod 600 {names}")


def _settings(connection: Connection) -> Iterator[Finding]:
    mode = _ask(connection, "journal_mode")
    if mode == "wal":
        yield Finding("journal", Grade.OK, "write-ahead log")
    else:
        yield Finding("journal", Grade.FAILURE, f"journal mode {mode}, not wal", "move the file to a local disk")
    durable, guarded = _ask(connection, "synchronous"), _ask(connection, "foreign_keys")
    if durable == _SYNCHRONOUS_FULL and guarded == 1:
        yield Finding("connections", Grade.OK, "every commit is on disk before it is acknowledged; foreign keys are on")
    else:
        told = f"connections of the service have synchronous = {durable} and foreign_keys = {guarded}"
        yield Finding("connections", Grade.FAILURE, told, "use a SQLite library with its standard features")
    encoding = _ask(connection, "encoding")
    if encoding == "UTF-8":
        yield Finding("encoding", Grade.OK, "UTF-8")
    else:
        advice = "export, make a new file, and import: a file's encoding cannot be changed"
        yield Finding("encoding", Grade.WARNING, f"{encoding}, not UTF-8", advice)


def _content(connection: Connection) -> Iterator[Finding]:
    damage = _ask(connection, "quick_check")
    if damage == "ok":
        yield Finding("integrity", Grade.OK, "the file is sound")
    else:
        yield Finding("integrity", Grade.FAILURE, f"the file is damaged: {damage}", "stop, and restore a backup")
    orphans = sorted({row[0] for row in connection.execute("PRAGMA foreign_key_check")})
    if orphans:
        advice = "erase them; whatever else writes to the file must say PRAGMA foreign_keys = ON"
        told = f"rows refer to rows that are gone, in {', '.join(orphans)}"
        yield Finding("references", Grade.WARNING, told, advice)
    else:
        yield Finding("references", Grade.OK, "every row's user and conversation is there")


def _ask(connection: Connection, pragma: str) -> object:
    return connection.execute(f"PRAGMA {pragma}").fetchone()[0]
