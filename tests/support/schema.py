"""Spell out a database's schema as the database itself sees it, to compare two of them."""

import re
from collections.abc import Iterable
from typing import Any

from tests.support.observers import Observer, PostgresObserver

VERSION_TABLE = "hansard_version"

COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           pg_get_expr(d.adbin, d.adrelid), a.attidentity
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
"""
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
POLICIES = "SELECT tablename, policyname, qual, with_check FROM pg_policies WHERE schemaname = 'public'"


def schema_of(observer: Observer) -> list[str]:
    """Return every table, column, constraint and index, sorted, without the table of migrations."""
    if isinstance(observer, PostgresObserver):
        return _spelled(row for query in (COLUMNS, CONSTRAINTS, INDEXES) for row in observer.execute(query))
    rows = observer.execute("SELECT tbl_name, type, name, sql FROM sqlite_master")
    return _spelled((table, kind, name, part) for table, kind, name, sql in rows for part in _parts(sql))


def policies_of(observer: Observer) -> list[str]:
    """Return the row-level security policies; none where there are no such things."""
    return _spelled(observer.execute(POLICIES)) if isinstance(observer, PostgresObserver) else []


def _spelled(rows: Iterable[tuple[Any, ...]]) -> list[str]:
    return sorted(" | ".join(map(str, row)) for row in rows if row[0] != VERSION_TABLE)


def _parts(sql: str | None) -> list[str]:
    """Cut a statement into lines that may stand in any order: the columns and constraints of a table."""
    return [re.sub(r"\s+", " ", line).strip(" ,") for line in (sql or "").splitlines()]
