"""Look at a live database for everything that could let rows be lost, or be seen by somebody else."""

from __future__ import annotations

from collections.abc import Iterator

from hansard.database.direct import connect
from hansard.database.doctor_postgres import examine_server
from hansard.database.doctor_sqlite import examine_file
from hansard.database.findings import Finding, Grade, worst
from hansard.database.roles import DEFAULT_ROLE
from hansard.database.urls import DatabaseUrl, parse_url
from hansard.errors import ConfigurationError, DatabaseError
from hansard.models.search import SearchSettings
from hansard.utils.clock import Clock, utc_now

__all__ = ["Finding", "Grade", "examine", "worst"]


def examine(
    url: str,
    *,
    role: str = DEFAULT_ROLE,
    production: bool = True,
    direct: bool = False,
    search: SearchSettings | None = None,
    clock: Clock = utc_now,
) -> list[Finding]:
    """Return what was looked at, in order; nothing is changed and no row of a user is read.

    ``url`` is the service's own, because its login is what is judged: one that row-level security does not bind is a
    failure in ``production``. ``direct`` says that migrations have a URL without a pooler, ``search`` what is to be
    indexed. A database that cannot be examined is a finding too.
    """
    found: list[Finding] = []
    at, wanted = parse_url(url), search or SearchSettings()
    try:
        for finding in _examine(at, role=role, production=production, direct=direct, search=wanted, clock=clock):
            found.append(finding)  # noqa: PERF402 - what was found before an error is kept
    except (DatabaseError, ConfigurationError) as error:
        advice = "see that the database is there, is a database, and is the one that DATABASE_URL names"
        found.append(Finding("connection", Grade.FAILURE, " ".join(str(error).split()), advice))
    return found


def _examine(
    url: DatabaseUrl, *, role: str, production: bool, direct: bool, search: SearchSettings, clock: Clock
) -> Iterator[Finding]:
    if url.path is not None:
        yield from examine_file(url)
        return
    with connect(url) as connection:
        yield from examine_server(
            connection, role=role, production=production, direct=direct, search=search, clock=clock
        )
