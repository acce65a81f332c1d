"""Know how the application's own tables, ``user`` and ``task``, look in this database.

The old backend's installations differ: ids of tasks are numbers or texts, some columns are missing, others are there
that nobody here knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import TextClause, text

TABLES = ("user", "task")


class Kind(Enum):
    """Name the kinds of columns that Hansard can work with."""

    TEXT = "text"
    INTEGER = "a whole number"
    BOOLEAN = "a truth value"
    TIMESTAMP = "a timestamp without time zone"
    TIMESTAMPTZ = "a timestamp with time zone"
    OTHER = "something else"


class Column(NamedTuple):
    """Hold a column; ``demanding`` when every new row must bring a value for it."""

    table: str
    name: str
    type: str
    demanding: bool

    @property
    def kind(self) -> Kind:
        """Return what the column holds."""
        found = _POSTGRES_KINDS.get(self.type)
        return found or next((kind for word, kind in _SQLITE_KINDS.items() if word in self.type.upper()), Kind.OTHER)

    @property
    def highest(self) -> int:
        """Return the largest number the column holds."""
        return {"int2": 2**15 - 1, "int4": 2**31 - 1}.get(self.type, 2**63 - 1)


_POSTGRES_KINDS = {
    "varchar": Kind.TEXT,
    "text": Kind.TEXT,
    "int2": Kind.INTEGER,
    "int4": Kind.INTEGER,
    "int8": Kind.INTEGER,
    "bool": Kind.BOOLEAN,
    "timestamp": Kind.TIMESTAMP,
    "timestamptz": Kind.TIMESTAMPTZ,
    # Padded with blanks, so no id that was stored comes back as it was.
    "bpchar": Kind.OTHER,
    # How SQLAlchemy declares a UUID to SQLite.
    "CHAR(32)": Kind.OTHER,
    "interval": Kind.OTHER,
    "point": Kind.OTHER,
}
# What SQLite itself looks for in a declared type, as far as that decides how values are stored and compared.
_SQLITE_KINDS = {
    "INT": Kind.INTEGER,
    "CHAR": Kind.TEXT,
    "CLOB": Kind.TEXT,
    "TEXT": Kind.TEXT,
    "BOOL": Kind.BOOLEAN,
    "DATETIME": Kind.TIMESTAMP,
    "TIMESTAMP": Kind.TIMESTAMP,
}

# The columns of both tables, as an unqualified name finds them.
COLUMNS: Mapping[str, TextClause] = {
    "postgresql": text(
        "SELECT c.relname, a.attname, base.typname, "
        "a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' "
        "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid "
        "JOIN pg_type base ON base.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END "
        "WHERE c.oid IN (to_regclass('\"user\"'), to_regclass('task')) AND a.attnum > 0 AND NOT a.attisdropped "
        "ORDER BY c.relname, a.attnum"
    ),
    "sqlite": text(
        'SELECT m.name, c.name, c.type, c."notnull" AND c.dflt_value IS NULL '
        "FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name IN ('user', 'task') "
        "ORDER BY m.name, c.cid"
    ),
}


class Phase2(NamedTuple):
    """Hold the columns of both tables, by name; a missing table has none."""

    user: Mapping[str, Column]
    task: Mapping[str, Column]

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, ...]]) -> Phase2:
        """Read the rows that `COLUMNS` asks for."""
        tables: dict[str, dict[str, Column]] = {"user": {}, "task": {}}
        for table, name, type_, demanding in rows:
            tables[table][name] = Column(table, name, type_, bool(demanding))
        return cls(**tables)
