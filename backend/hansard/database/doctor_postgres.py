"""Look at a PostgreSQL server and database, as the service's login sees them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from sqlalchemy import Connection, text

from hansard.database import isolation_check, search_postgres
from hansard.database.doctor_common import examine_revision, examine_tables, examine_users
from hansard.database.findings import Finding, Grade
from hansard.database.roles import Login, minimal_login_sql, missing_sql, read_login, read_role
from hansard.models.search import SearchSettings
from hansard.utils.clock import Clock

_OLDEST = 15
_SKEW_TOLD = timedelta(seconds=2)
_SKEW_HARMFUL = timedelta(seconds=30)


def examine_server(
    connection: Connection, *, role: str, production: bool, direct: bool, search: SearchSettings, clock: Clock
) -> Iterator[Finding]:
    """Look at server, connection, login, role, isolation, schema and search, in this order."""
    yield _version(connection)
    yield _encoding(connection)
    yield _writable(connection)
    yield from _durability(connection)
    yield _clocks(connection, clock)
    yield _pooler(connection, direct=direct)
    yield _encryption(connection)
    yield _login(connection, role, production=production)
    yield _session(connection)
    yield _runtime_role(connection, role)
    revision = examine_revision(connection)
    yield revision
    if revision.grade is Grade.OK:
        yield from _isolation(connection, role)
        yield from examine_tables(connection)
        yield from examine_users(connection)
        yield _search(connection, search, role)


def _version(connection: Connection) -> Finding:
    version = _show(connection, "server_version")
    if int(version.partition(".")[0]) >= _OLDEST:
        return Finding("version", Grade.OK, f"PostgreSQL {version}")
    advice = f"upgrade the server: {_OLDEST} is the oldest version that is tested"
    return Finding("version", Grade.WARNING, f"PostgreSQL {version}", advice)


def _encoding(connection: Connection) -> Finding:
    encoding = _show(connection, "server_encoding")
    if encoding == "UTF8":
        return Finding("encoding", Grade.OK, "UTF8")
    advice = "make a database with ENCODING 'UTF8' and move to it: this one cannot hold every character"
    return Finding("encoding", Grade.FAILURE, f"{encoding}, not UTF8", advice)


def _writable(connection: Connection) -> Finding:
    replica = connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one()
    if not replica and _show(connection, "transaction_read_only") == "off":
        return Finding("writes", Grade.OK, "the database takes writes")
    told = "this is a read replica" if replica else "transactions are read-only by default"
    return Finding("writes", Grade.FAILURE, told, "let DATABASE_URL name the primary, with a login that may write")


def _durability(connection: Connection) -> Iterator[Finding]:
    if _on_neon(connection):
        yield Finding("durability", Grade.OK, "Neon keeps the log on several servers before it acknowledges")
        return
    harmful = {
        "fsync": "a crash of the machine can destroy the database",
        "full_page_writes": "a crash of the machine can leave torn pages",
        "synchronous_commit": "a crash can lose what was acknowledged last",
    }
    bad = [name for name in harmful if _show(connection, name) == "off"]
    for name in bad:
        advice = f"set {name} = on in postgresql.conf, and look for ALTER ROLE or ALTER DATABASE … SET {name}"
        yield Finding("durability", Grade.FAILURE, f"{name} is off: {harmful[name]}", advice)
    if not bad:
        yield Finding("durability", Grade.OK, f"{', '.join(harmful)} are on")


def _on_neon(connection: Connection) -> bool:
    # There fsync is off by design: a compute node keeps nothing on its own disk.
    found = text("SELECT EXISTS (SELECT FROM pg_settings WHERE name = 'neon.tenant_id')")
    return bool(connection.execute(found).scalar_one())


def _clocks(connection: Connection, clock: Clock) -> Finding:
    before = clock()
    there: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    after = clock()
    # Somewhere between the two the server looked at its clock: only what lies outside is a difference.
    skew = max(before - there, there - after, timedelta(0))
    told = f"this machine's clock and the server's differ by {skew.total_seconds():.1f} s"
    if skew < _SKEW_TOLD:
        return Finding("clock", Grade.OK, told)
    advice = "set both by a time service: tokens expire by one clock, conversations are dated by the other"
    return Finding("clock", Grade.WARNING if skew < _SKEW_HARMFUL else Grade.FAILURE, told, advice)


def _pooler(connection: Connection, *, direct: bool) -> Finding:
    # A proxy tells its clients a process number of its own invention, to route their cancellations.
    told_pid = _driver(connection).info.backend_pid
    pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    if told_pid == pid:
        return Finding("pooler", Grade.OK, "the connection is direct")
    if direct:
        return Finding("pooler", Grade.OK, "a pooler stands in between; migrations have a URL of their own")
    advice = "set DATABASE_URL_DIRECT to the URL without the pooler, for migrations"
    return Finding("pooler", Grade.WARNING, "a pooler or proxy stands in between", advice)


def _encryption(connection: Connection) -> Finding:
    driver = _driver(connection)
    if driver.pgconn.ssl_in_use:
        return Finding("encryption", Grade.OK, "the connection is encrypted")
    host = driver.info.host
    if _is_local(host):
        return Finding("encryption", Grade.OK, "the connection does not leave this machine")
    told = f"the connection to {host} is not encrypted"
    return Finding("encryption", Grade.WARNING, told, "add ?sslmode=require to DATABASE_URL, or verify-full")


def _is_local(host: str) -> bool:
    try:
        return not host or host.startswith("/") or host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _login(connection: Connection, role: str, *, production: bool) -> Finding:
    login = read_login(connection)
    unbound = _unbound(login)
    if not unbound:
        return Finding("login", Grade.OK, f"{login.name} is no superuser and does not bypass row-level security")
    told = f"{login.name} {unbound}: one statement outside the runtime role would see every user's rows"
    statements = "; ".join(minimal_login_sql(connection, role))
    advice = f"keep {login.name} in DATABASE_URL_DIRECT, and let the service log in as one who may less: {statements};"
    return Finding("login", Grade.FAILURE if production else Grade.WARNING, told, advice)


def _unbound(login: Login) -> str:
    if login.superuser:
        return "is a superuser"
    return "bypasses row-level security" if login.bypasses_rls else ""


def _session(connection: Connection) -> Finding:
    user_id = connection.execute(text("SELECT nullif(current_setting('hansard.user_id', true), '')")).scalar()
    if user_id is None:
        return Finding("session", Grade.OK, "a new connection belongs to no user")
    told = "a new connection belongs to a user already: hansard.user_id is set outside of any transaction"
    advice = "look for ALTER ROLE or ALTER DATABASE … SET hansard.user_id, and for whatever else sets it"
    return Finding("session", Grade.FAILURE, told, advice)


def _runtime_role(connection: Connection, role: str) -> Finding:
    found = read_role(connection, role)
    if found.faults:
        told = f"the role {role} {' and '.join(found.faults)}: row-level security does not bind it"
        advice = f'run as an administrator: ALTER ROLE "{role}" NOLOGIN NOSUPERUSER NOBYPASSRLS; give back what it owns'
        return Finding("runtime role", Grade.FAILURE, told, advice)
    if found.settable:
        return Finding("runtime role", Grade.OK, f"{role} cannot log in, is bound, and the login may act as it")
    if not found.exists:
        advice = f"{isolation_check.UPGRADE} (it makes the role, or says what an administrator must run)"
        return Finding("runtime role", Grade.FAILURE, f"there is no role {role}", advice)
    told = f"the login may not act as the role {role}"
    statements = "; ".join(missing_sql(connection, found, login=read_login(connection).name))
    return Finding("runtime role", Grade.FAILURE, told, f"run as an administrator: {statements};")


def _isolation(connection: Connection, role: str) -> Iterator[Finding]:
    differences = isolation_check.differences(connection, role)
    for difference in differences:
        yield Finding("isolation", Grade.FAILURE, difference.told, difference.advice)
    if not differences:
        count = len(isolation_check.isolated_tables())
        told = f"row-level security is on, forced and as it was made, on {count} tables; on task for the runtime role"
        yield Finding("isolation", Grade.OK, told)


def _search(connection: Connection, search: SearchSettings, role: str) -> Finding:
    missing = search_postgres.lacks(connection, search, role=role)
    if not missing:
        return Finding("search", Grade.OK, "off" if search.mode == "off" else "every search is answered from an index")
    told = f"a search reads all of the user's messages: there is not {' and not '.join(missing)}"
    advice = "run: hansard db search (it makes what is missing, or says what an administrator must run)"
    return Finding("search", Grade.WARNING, told, advice)


def _show(connection: Connection, name: str) -> str:
    return str(connection.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one())


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
