"""Say which constraint a write ran into; the store turns it into an error of the public tree."""

from __future__ import annotations

from enum import Enum

from hansard.errors import DatabaseError


class Violated(Enum):
    """Name the kinds of constraints."""

    UNIQUE = "unique"
    FOREIGN_KEY = "foreign key"
    CHECK = "check"
    NOT_NULL = "not null"


class ConstraintViolation(DatabaseError):
    """Report that a write ran into a constraint; it and all of its script were rolled back.

    ``constraint`` is ``None`` where the database does not say which one: SQLite for foreign keys.
    """

    def __init__(self, kind: Violated, constraint: str | None) -> None:
        super().__init__(f"the write ran into a {kind.value} constraint{f' ({constraint})' if constraint else ''}")
        self.kind = kind
        self.constraint = constraint
