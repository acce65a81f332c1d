"""Read PostgreSQL's errors by their SQLSTATE and constraint name; never by their text, which may quote rows."""

from __future__ import annotations

import psycopg

from hansard.database.violations import ConstraintViolation, Violated
from hansard.errors import DatabaseError, DatabaseUnavailable, SchemaOutdated

_VIOLATIONS = {
    "23505": Violated.UNIQUE,
    "23503": Violated.FOREIGN_KEY,
    "23514": Violated.CHECK,
    "23502": Violated.NOT_NULL,
}
_MISSING = {
    "42P01": "table",
    "42703": "column",
    "42883": "function",
    "42704": "role or type",
    # Of all that we set, only the role can be something that is not there.
    "22023": "runtime role",
}
# A name that is not known or known already, a plan that does not fit any more: preparing anew helps.
LOST_STATEMENTS = {"26000", "42P05", "0A000"}
# Classes of conditions that pass: connection, resources, rollback (deadlock), operator intervention, lock, system.
_PASSING = ("08", "53", "40", "57", "55", "58", "25", "3D", "28")


def translate(error: psycopg.Error) -> DatabaseError:
    """Return the error of ours for an answer of the server; the transaction it belonged to was rolled back."""
    state = error.sqlstate or ""
    if state in _VIOLATIONS:
        return ConstraintViolation(_VIOLATIONS[state], error.diag.constraint_name or error.diag.column_name)
    if state in _MISSING:
        return SchemaOutdated(f"the database lacks a {_MISSING[state]} (SQLSTATE {state}); run: hansard db upgrade")
    if state in LOST_STATEMENTS:
        return DatabaseError(
            f"a prepared statement is not on its connection any more (SQLSTATE {state}): there is a pooler in between, "
            "or the schema has changed. The connection is dropped; with a pooler, do not prepare"
        )
    if state == "42501":
        return DatabaseError(
            "PostgreSQL refused the statement: row-level security or a missing grant (SQLSTATE 42501); "
            "hansard doctor tells what is missing"
        )
    if state.startswith(_PASSING):
        return DatabaseUnavailable(f"PostgreSQL: {type(error).__name__} (SQLSTATE {state}); nothing was written")
    return DatabaseError(f"PostgreSQL: {type(error).__name__} (SQLSTATE {state or 'none'})")
