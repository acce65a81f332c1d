"""Keep the runtime role: the role every unit of work acts as on PostgreSQL, so that row-level security binds it.

The role belongs to the cluster and not to one database. It is made where it is missing, looked at every time, and
never dropped. Whether it may exist like this is decided here; what it may do, in `hansard.database.isolation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hansard.database.spelling import execute, spell
from hansard.errors import ConfigurationError, DatabaseUnavailable
from hansard.models import metadata

DEFAULT_ROLE = "hansard_app"
_SERVICE = "hansard_service"
_CREATE = "CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS"
_LONGEST_NAME = 63
_SET_OPTION_SINCE = 16
# Somebody else, in another database of the cluster, made the same role or membership at the same moment.
_RACED = {"42710", "23505", "XX000"}
_ATTEMPTS = 5


class Login(NamedTuple):
    """Hold who we are on the server."""

    name: str
    superuser: bool
    bypasses_rls: bool
    creates_roles: bool


class RuntimeRole(NamedTuple):
    """Hold what the cluster knows about the runtime role, as seen by the login."""

    name: str
    exists: bool = False
    can_login: bool = False
    superuser: bool = False
    bypasses_rls: bool = False
    settable: bool = False
    grantable: bool = False
    owns: tuple[str, ...] = ()

    @property
    def faults(self) -> list[str]:
        """Return why row-level security would not bind this role, or not for sure."""
        faults = {
            "can log in": self.can_login,
            "is a superuser": self.superuser,
            "bypasses row-level security": self.bypasses_rls,
            f"has the rights of the owner of {', '.join(self.owns)}": bool(self.owns),
        }
        return [fault for fault, there in faults.items() if there]


def read_login(connection: Connection) -> Login:
    """Return the login and its attributes."""
    row = connection.execute(
        text("SELECT rolname, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user")
    ).one()
    return Login(*row)


def read_role(connection: Connection, role: str) -> RuntimeRole:
    """Return the role as it is now."""
    row = connection.execute(
        text(
            "SELECT oid, rolcanlogin, rolsuper, rolbypassrls, pg_has_role(oid, :set_role) AS settable, "
            "pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') AS grantable FROM pg_roles WHERE rolname = :role"
        ),
        {"role": role, "set_role": "SET" if _has_set_option(connection) else "MEMBER"},
    ).one_or_none()
    if row is None:
        return RuntimeRole(role)
    owned = connection.execute(
        text(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) "
            "AND relname = ANY(:tables) AND pg_has_role(:role, relowner, 'USAGE') ORDER BY relname"
        ),
        {"role": row.oid, "tables": sorted(metadata.tables)},
    ).scalars()
    _, can_login, superuser, bypasses_rls, settable, grantable = row
    return RuntimeRole(role, True, can_login, superuser, bypasses_rls, settable, grantable, tuple(owned))


def ensure_role(connection: Connection, role: str, *, beside: str | None = None) -> None:
    """Make the role if the cluster lacks it, and let the login act as it.

    Raises `ConfigurationError`, with the SQL to run, for a role that row-level security would not bind and where the
    login may not do what is missing; nothing is changed then. That SQL makes the role ``beside`` it as well, which is
    wanted later, so that an administrator is asked once.
    """
    check_role_name(role)
    wanted = read_role(connection, role)
    refuse_faults(connection, wanted)
    _refuse_unless_allowed(connection, wanted, beside)
    for _ in range(_ATTEMPTS):
        found = read_role(connection, role)
        refuse_faults(connection, found)
        if found.settable:
            return
        try:
            with connection.begin_nested():
                _complete(connection, found)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _RACED:
                raise
    raise DatabaseUnavailable(f"others keep changing the role {role}; nothing was changed, try again")


def check_role_name(role: str) -> None:
    """Raise `ConfigurationError` for a name that no role can have."""
    reserved = role in {"none", "public"} or role.startswith("pg_")
    if not role or reserved or "\x00" in role or len(role.encode("utf-8", "replace")) > _LONGEST_NAME:
        raise ConfigurationError(
            f"the runtime role cannot be called {role!r}: 1 to {_LONGEST_NAME} bytes, not none, public or pg_…"
        )


def refuse_faults(connection: Connection, found: RuntimeRole) -> None:
    """Raise `ConfigurationError` when row-level security would not bind the role."""
    if found.faults:
        remedy = spell(connection, "ALTER ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS;", role=found.name)
        raise ConfigurationError(
            f"the role {found.name} {' and '.join(found.faults)}, so it would not keep users apart. Name another role, "
            f"or have an administrator run:\n  {remedy}"
        )


def missing_sql(connection: Connection, found: RuntimeRole, *, login: str) -> list[str]:
    """Return the statements that make the role and let ``login`` act as it."""
    made = [] if found.exists else [spell(connection, _CREATE, role=found.name)]
    return [*made, spell(connection, "GRANT {role} TO {login}" + _options(connection), role=found.name, login=login)]


def minimal_login_sql(connection: Connection, role: str) -> list[str]:
    """Return the statements that make a login which can do what the service needs and nothing else."""
    database = connection.execute(text("SELECT current_database()")).scalar_one()
    return [
        f"CREATE ROLE {_SERVICE} LOGIN PASSWORD '…' NOSUPERUSER NOBYPASSRLS",
        spell(connection, f"GRANT CONNECT ON DATABASE {{database}} TO {_SERVICE}", database=database),
        *missing_sql(connection, RuntimeRole(role, exists=True), login=_SERVICE),
    ]


def _complete(connection: Connection, found: RuntimeRole) -> None:
    if not found.exists:
        execute(connection, _CREATE, role=found.name)
        # A superuser may act as the new role already; who made it by CREATEROLE may only grant it.
        if read_role(connection, found.name).settable:
            return
    execute(connection, "GRANT {role} TO CURRENT_USER" + _options(connection), role=found.name)


def _refuse_unless_allowed(connection: Connection, wanted: RuntimeRole, beside: str | None) -> None:
    login = read_login(connection)
    if not (wanted.settable or _governs(connection, login, wanted)):
        statements = missing_sql(connection, wanted, login=login.name)
        if beside is not None and not (other := read_role(connection, beside)).settable:
            statements += missing_sql(connection, other, login=login.name)
        raise ConfigurationError(
            f"the login {login.name} may not set up the role {wanted.name}; nothing was changed. "
            f"Have an administrator run this once, then try again:{_lines(statements)}"
        )


def _governs(connection: Connection, login: Login, found: RuntimeRole) -> bool:
    # Since PostgreSQL 16 CREATEROLE alone does not govern roles that somebody else made.
    by_attribute = login.creates_roles and (not found.exists or not _has_set_option(connection))
    return login.superuser or found.grantable or by_attribute


def _lines(statements: Sequence[str]) -> str:
    return "".join(f"\n  {statement};" for statement in statements)


def _options(connection: Connection) -> str:
    # Not inherited where that can be said: the login's own queries stay what they were.
    return " WITH INHERIT FALSE, SET TRUE" if _has_set_option(connection) else ""


def _has_set_option(connection: Connection) -> bool:
    version = connection.dialect.server_version_info
    assert version is not None
    return int(version[0]) >= _SET_OPTION_SINCE
