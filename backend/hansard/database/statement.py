"""Compile SQLAlchemy Core statements once, for execution by the bare driver.

SQLAlchemy writes the SQL and knows the types; its own execution layer is left out, because its result
objects lose rows inside a psycopg pipeline and cost more than the statement itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Dialect
from sqlalchemy.sql import Executable
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import SelectBase

Row: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = list[Row]


class Call(NamedTuple):
    """Hold one statement and the values of its parameters."""

    statement: Executable
    values: Mapping[str, Any]


Script: TypeAlias = Sequence[Call]


class Prepared:
    """Hold a statement as one dialect writes it, with the conversions of its parameters and results."""

    __slots__ = ("_conversions", "_defaults", "_in_order", "_results", "name", "sql", "sql_bytes")

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined] # Executable is a mixin of compilable elements
        self.sql = str(compiled)
        self.sql_bytes = self.sql.encode()
        # The same text has the same name in every process; another release's text has another name.
        self.name = b"hansard_" + hashlib.blake2b(self.sql_bytes, digest_size=12).hexdigest().encode()
        names = list(compiled.positiontup or ())
        self._defaults = {name: compiled.params.get(name) for name in names}
        self._in_order: Callable[[Mapping[str, Any]], Iterable[Any]] = (
            itemgetter(*names) if len(names) > 1 else lambda values: [values[name] for name in names]
        )
        processors = [_bind_processor(compiled.binds[name].type, dialect) for name in names]
        self._conversions = [(at, convert) for at, convert in enumerate(processors) if convert is not None]
        self._results = _result_processors(statement, dialect)

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the driver's positional parameters for ``values``."""
        arguments = list(self._in_order({**self._defaults, **values}))
        for at, convert in self._conversions:
            arguments[at] = convert(arguments[at])
        return arguments

    def decode(self, rows: Rows) -> Rows:
        """Return rows with their columns as Python values."""
        if not self._results or not rows:
            return rows
        # Column by column, which leaves all but the conversions to C.
        columns = list(zip(*rows, strict=True))
        for index, convert in self._results:
            columns[index] = tuple(map(convert, columns[index]))
        return list(zip(*columns, strict=True))


class PreparedCall(NamedTuple):
    """Hold a prepared statement and the driver's parameters for one execution."""

    prepared: Prepared
    arguments: list[Any]


def _bind_processor(kind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    processor: Callable[[Any], Any] | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return processor


def _result_processors(statement: Executable, dialect: Dialect) -> list[tuple[int, Callable[[Any], Any]]]:
    if not isinstance(statement, SelectBase | UpdateBase):
        return []
    found: list[tuple[int, Callable[[Any], Any]]] = []
    for index, column in enumerate(statement.exported_columns):
        processor = column.type.dialect_impl(dialect).result_processor(dialect, None)
        if processor is not None:
            found.append((index, processor))
    return found
