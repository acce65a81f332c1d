"""The data model that people read is the one in the database: every column, constraint and index."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import dialect

from hansard.models import metadata

PAGE = Path(__file__).parents[2] / "specs" / "003-chat-database-schema" / "data-model.md"
POSTGRES = dialect()


def sections() -> dict[str, str]:
    """What the page says under each table's heading."""
    headed = re.split(r"^## `(\w+)`.*$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(headed[1::2], headed[2::2], strict=True))


def rows(section: str, cells: int) -> set[tuple[str, ...]]:
    """The first cells of each row that begins with a name, in tables of one cell more."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:3] == "| `"]
    return {tuple(line[:cells]) for line in lines if len(line) == cells + 1}


def columns(table: Table) -> set[tuple[str, ...]]:
    return {
        (f"`{column.name}`", f"`{column.type.compile(POSTGRES)}`", "yes" if column.nullable else "no")
        for column in table.columns
    }


def rules(table: Table) -> Iterator[tuple[str, ...]]:
    kept: list[Constraint | Index] = [*table.constraints, *table.indexes]
    for rule in kept:
        yield f"`{rule.name}`", f"`{definition(rule)}`"


def definition(rule: Constraint | Index) -> str:
    if isinstance(rule, CheckConstraint):
        return f"CHECK ({rule.sqltext})"
    if isinstance(rule, Index):
        where = rule.dialect_options["postgresql"]["where"]
        kind = "UNIQUE INDEX" if rule.unique else "INDEX"
        return f"{kind} ({names(rule.columns)}){'' if where is None else f' WHERE {where}'}"
    assert isinstance(rule, PrimaryKeyConstraint | UniqueConstraint | ForeignKeyConstraint)
    if isinstance(rule, ForeignKeyConstraint):
        there = names(element.column for element in rule.elements)
        action = f" ON DELETE {rule.ondelete}" if rule.ondelete else ""
        return f"FOREIGN KEY ({names(rule.columns)}) REFERENCES {rule.referred_table.name} ({there}){action}"
    kind = "PRIMARY KEY" if isinstance(rule, PrimaryKeyConstraint) else "UNIQUE"
    return f"{kind} ({names(rule.columns)})"


def names(found: Iterable[Column[Any]]) -> str:
    return ", ".join(column.name for column in found)


def test_every_table_has_its_section():
    assert set(sections()) == set(metadata.tables)


@pytest.mark.parametrize("name", metadata.tables)
def test_a_table_is_described_whole(name: str):
    section = sections()[name]
    assert rows(section, 3) == columns(metadata.tables[name])
    assert rows(section, 2) == set(rules(metadata.tables[name]))
