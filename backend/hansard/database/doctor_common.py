"""Look at what both databases have: the revision, the tables, and whether users can be made."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from hansard.database import adoption, migrations
from hansard.database.findings import Finding, Grade

_UPGRADE = "run: hansard db upgrade"


def examine_revision(connection: Connection) -> Finding:
    """Compare the database's revision with the newest of this release."""
    revision, newest = migrations.revision_of(connection), migrations.head()
    if revision == newest:
        return Finding("migrations", Grade.OK, f"the schema is at {newest}, the newest of this release")
    if revision is None:
        return Finding("migrations", Grade.FAILURE, "the database was never migrated", _UPGRADE)
    if revision in migrations.revisions():
        return Finding("migrations", Grade.FAILURE, f"the schema is at {revision}, not at {newest}", _UPGRADE)
    told = f"the schema is at {revision}, which this release does not know (its newest is {newest})"
    return Finding("migrations", Grade.FAILURE, told, "install the release that migrated it, or a newer one")


def examine_tables(connection: Connection) -> Iterator[Finding]:
    """Compare our tables with this release's."""
    differences = migrations.table_differences(connection)
    for difference in differences:
        advice = "undo the change by hand, or restore a backup: no revision makes it"
        yield Finding("tables", Grade.FAILURE, f"not what this release expects: {difference}", advice)
    if not differences:
        yield Finding("tables", Grade.OK, "tables, columns, constraints and indexes are what this release expects")


def examine_users(connection: Connection) -> Iterator[Finding]:
    """Say whether the application's tables take users and tasks from us."""
    obstacles = adoption.obstacles(connection)
    for obstacle in obstacles:
        advice = "give the column a default, or let the application make such rows (HANSARD_PROVISION_USERS=false)"
        yield Finding("users", Grade.WARNING, obstacle, advice)
    if not obstacles:
        yield Finding("users", Grade.OK, "users and tasks can be made")
