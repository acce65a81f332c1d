"""Compare a PostgreSQL database's grants, policies and flags with what keeps users apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from hansard.database.isolation import (
    ACCESS_POLICY,
    ADOPTED,
    OWN_POLICY,
    OWN_ROWS,
    OWN_ROWS_AS_ROLE,
    PROVISIONED,
    PROVISIONED_COLUMNS,
    sequences,
)
from hansard.database.spelling import spell
from hansard.models import metadata

# Says the same of an expression as we wrote it and as the catalogue spells it out.
_SPELT_OUT = re.compile(r"::(text|name|character varying)|[()\s]")


class _Policy(NamedTuple):
    """Hold a policy as the catalogue describes it; no ``roles`` means everybody."""

    name: str
    permissive: bool
    command: str
    roles: tuple[str, ...]
    using: str
    checked: str


def isolated_tables() -> list[str]:
    """Return our own tables that hold users' rows."""
    return [table.name for table in metadata.sorted_tables if "user_id" in table.c and table.name != ADOPTED]


def differences(connection: Connection, role: str) -> list[str]:
    """Return what is not as it must be, one sentence each; empty when users are kept apart."""
    known = connection.execute(text("SELECT oid FROM pg_roles WHERE rolname = :role"), {"role": role}).scalar()
    if known is None:
        return [f"the role {role} does not exist"]
    found: list[str] = []
    for table in isolated_tables():
        found += _own_table(connection, table, role)
    return [*found, *_adopted_table(connection, role), *_provisioning(connection, role)]


def _exists(connection: Connection, table: str) -> bool:
    name = spell(connection, "{table}", table=table)
    return connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is not None


def _own_table(connection: Connection, table: str, role: str) -> Iterator[str]:
    if not _exists(connection, table):
        yield f"{table}: the table is missing"
        return
    yield from _table(connection, table, role, forced=True)
    policies = _policies(connection, table)
    rule = _plain(OWN_ROWS)
    if _Policy(OWN_POLICY, True, "*", (), rule, rule) not in policies:
        yield f"{table}: the policy {OWN_POLICY} is missing, or altered"
    for policy in policies:
        if policy.permissive and policy.name != OWN_POLICY and (not policy.roles or role in policy.roles):
            yield f"{table}: the policy {policy.name} shows the role {role} more rows than its user's own"


def _adopted_table(connection: Connection, role: str) -> Iterator[str]:
    if not _exists(connection, ADOPTED):
        yield f"{ADOPTED}: the table is missing"
        return
    yield from _table(connection, ADOPTED, role, forced=False)
    policies = _policies(connection, ADOPTED)
    rule = _plain(OWN_ROWS_AS_ROLE.format(role=spell(connection, "{role}", texts={"role": role})))
    if _Policy(OWN_POLICY, False, "*", (role,), rule, rule) not in policies:
        yield f"{ADOPTED}: the policy {OWN_POLICY} for the role {role} is missing, or altered"
    if ACCESS_POLICY not in {policy.name for policy in policies}:
        yield f"{ADOPTED}: the policy {ACCESS_POLICY} is missing"
    for sequence in sequences(connection):
        held = text("SELECT has_sequence_privilege(:role, :sequence, 'USAGE')")
        name = spell(connection, "{sequence}", sequence=sequence)
        if not connection.execute(held, {"role": role, "sequence": name}).scalar_one():
            yield f"{ADOPTED}: the role {role} lacks USAGE on the sequence {name}"


def _table(connection: Connection, table: str, role: str, *, forced: bool) -> Iterator[str]:
    name = spell(connection, "{table}", table=table)
    row = connection.execute(
        text("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = to_regclass(:table)"),
        {"table": name},
    ).one()
    if not row.relrowsecurity:
        yield f"{table}: row-level security is off"
    if forced and not row.relforcerowsecurity:
        yield f"{table}: row-level security does not bind the table's owner"
    held = _held(connection, name, role)
    lacking = [right for right in ("SELECT", "INSERT", "UPDATE", "DELETE") if right not in held]
    if lacking:
        yield f"{table}: the role {role} lacks {', '.join(lacking)}"
    if "TRUNCATE" in held:
        yield f"{table}: the role {role} may TRUNCATE, which row-level security does not govern"


def _held(connection: Connection, table: str, role: str) -> set[str]:
    rights = text(
        "SELECT one FROM unnest(CAST(:rights AS text[])) AS one WHERE has_table_privilege(:role, :table, one)"
    )
    asked = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"]
    return set(connection.execute(rights, {"rights": asked, "role": role, "table": table}).scalars())


def _provisioning(connection: Connection, role: str) -> Iterator[str]:
    table = f'"{PROVISIONED}"'
    lacking: Sequence[str] = (
        connection.execute(
            text(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = ANY(:columns) "
                "AND NOT has_column_privilege(:role, attrelid, attnum, 'INSERT') ORDER BY attnum"
            ),
            {"role": role, "table": table, "columns": list(PROVISIONED_COLUMNS)},
        )
        .scalars()
        .all()
    )
    if lacking:
        yield f"{PROVISIONED}: the role {role} lacks INSERT on {', '.join(lacking)}"


def _policies(connection: Connection, table: str) -> list[_Policy]:
    rows = connection.execute(
        text(
            "SELECT polname, polpermissive, CAST(polcmd AS text), "
            "ARRAY(SELECT CAST(rolname AS text) FROM pg_roles WHERE oid = ANY(polroles)), "
            "coalesce(pg_get_expr(polqual, polrelid), ''), coalesce(pg_get_expr(polwithcheck, polrelid), '') "
            "FROM pg_policy WHERE polrelid = to_regclass(:table)"
        ),
        {"table": spell(connection, "{table}", table=table)},
    )
    return [
        _Policy(name, permissive, command, tuple(roles), _plain(using), _plain(checked))
        for name, permissive, command, roles, using, checked in rows
    ]


def _plain(expression: str) -> str:
    return _SPELT_OUT.sub("", expression).lower()
