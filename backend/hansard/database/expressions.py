"""Say in one expression what the databases spell differently."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Float, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from hansard.models.base import UtcDateTime


class FromNow(FunctionElement[Any]):
    """Be the instant that lies a number of seconds (a parameter, may be negative) from now, by the database's clock."""

    inherit_cache = True
    type = UtcDateTime()

    def __init__(self, parameter: str) -> None:
        super().__init__(bindparam(parameter, type_=Float))


def from_now(parameter: str) -> ColumnElement[Any]:
    """Return the instant that lies ``parameter`` seconds from now."""
    return FromNow(parameter)


@compiles(FromNow, "postgresql")
def _postgresql(element: FromNow, compiler: SQLCompiler, **options: Any) -> str:
    return f"(clock_timestamp() + {compiler.process(element.clauses, **options)} * interval '1 second')"


@compiles(FromNow, "sqlite")
def _sqlite(element: FromNow, compiler: SQLCompiler, **options: Any) -> str:
    return f"seconds_from_now({compiler.process(element.clauses, **options)})"
