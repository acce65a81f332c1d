"""Say in one expression what the databases spell differently."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Float, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement, ReturnTypeFromArgs
from sqlalchemy.sql.selectable import FromClause, Join

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


class greatest(ReturnTypeFromArgs[Any]):  # noqa: N801 - `func.greatest` is this, as soon as it is there
    """Be the greater of two values, neither of them NULL."""

    inherit_cache = True


@compiles(greatest, "sqlite")
def _max(element: greatest, compiler: SQLCompiler, **options: Any) -> str:
    return f"max{compiler.process(element.clause_expr, **options)}"


class InOrder(Join):
    """Be a join that is walked from the left to the right, whatever the planner would rather do."""

    inherit_cache = True


def in_order(left: FromClause, right: FromClause, on: ColumnElement[bool]) -> FromClause:
    """Return the join that reads ``right`` once for each row of ``left``; SQLite alone has one."""
    return InOrder(left, right, on)


@compiles(InOrder, "sqlite")
def _cross(element: InOrder, compiler: SQLCompiler, **options: Any) -> str:
    left, right = (compiler.process(side, **options | {"asfrom": True}) for side in (element.left, element.right))
    assert element.onclause is not None
    return f"{left} CROSS JOIN {right} ON {compiler.process(element.onclause, **options)}"
