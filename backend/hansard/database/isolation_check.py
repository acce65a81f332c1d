"""Compare a PostgreSQL database's grants, policies and flags with what keeps users apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from hansard.database.isolation import (
    ACCESS_POLICY,
    ADOPTED,
    APPENDING,
    OWN_POLICY,
    OWN_POLICY_MADE,
    OWN_ROWS,
    OWN_ROWS_AS_ROLE,
    PROVISIONED,
    PROVISIONED_COLUMNS,
    RESTRICTION_MADE,
    sequences,
)
from hansard.database.spelling import spell
from hansard.models import metadata

UPGRADE = "run: hansard db upgrade"
RESTORE = "restore it from a backup: no revision makes it again"
IN_WORDS = {UPGRADE, RESTORE}
_NEEDED = ("SELECT", "INSERT", "UPDATE", "DELETE")
_DROPPED = f"DROP POLICY IF EXISTS {OWN_POLICY} ON {{table}}; "
# Says the same of an expression as we wrote it and as the catalogue spells it out.
_SPELT_OUT = re.compile(r"::(text|name|character varying)|[()\s]")


class Difference(NamedTuple):
    """Hold what is not as it must be, and what mends it: SQL, or one of `IN_WORDS`."""

    told: str
    remedy: str

    @property
    def advice(self) -> str:
        """Return what a person should do."""
        return self.remedy if self.remedy in IN_WORDS else f"run as the owner: {self.remedy};"


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


def differences(connection: Connection, role: str) -> list[Difference]:
    """Return what is not as it must be; empty when users are kept apart."""
    known = connection.execute(text("SELECT oid FROM pg_roles WHERE rolname = :role"), {"role": role}).scalar()
    if known is None:
        return [Difference(f"the role {role} does not exist", UPGRADE)]
    found: list[Difference] = []
    for table in isolated_tables():
        found += _own_table(connection, table, role)
    return [
        *found,
        *_adopted_table(connection, role),
        *_provisioning(connection, role),
        *_functions(connection, role),
    ]


def _own_table(connection: Connection, table: str, role: str) -> Iterator[Difference]:
    if not _exists(connection, table):
        yield Difference(f"{table}: the table is missing", RESTORE)
        return
    yield from _table(connection, table, role, forced=True)
    policies = _policies(connection, table)
    rule = _plain(OWN_ROWS)
    if _Policy(OWN_POLICY, True, "*", (), rule, rule) not in policies:
        remedy = spell(connection, _DROPPED + OWN_POLICY_MADE, table=table)
        yield Difference(f"{table}: the policy {OWN_POLICY} is missing, or altered", remedy)
    for policy in policies:
        if policy.permissive and policy.name != OWN_POLICY and (not policy.roles or role in policy.roles):
            told = f"{table}: the policy {policy.name} shows the role {role} more rows than its user's own"
            yield Difference(told, spell(connection, "DROP POLICY {name} ON {table}", name=policy.name, table=table))


def _adopted_table(connection: Connection, role: str) -> Iterator[Difference]:
    if not _exists(connection, ADOPTED):
        yield Difference(f"{ADOPTED}: the table is missing", RESTORE)
        return
    yield from _table(connection, ADOPTED, role, forced=False)
    policies = _policies(connection, ADOPTED)
    literal = {"literal": role}
    rule = _plain(spell(connection, OWN_ROWS_AS_ROLE, texts=literal))
    if _Policy(OWN_POLICY, False, "*", (role,), rule, rule) not in policies:
        remedy = spell(connection, _DROPPED + RESTRICTION_MADE, texts=literal, table=ADOPTED, role=role)
        yield Difference(f"{ADOPTED}: the policy {OWN_POLICY} for the role {role} is missing, or altered", remedy)
    if ACCESS_POLICY not in {policy.name for policy in policies}:
        remedy = f"CREATE POLICY {ACCESS_POLICY} ON {ADOPTED} TO PUBLIC USING (true) WITH CHECK (true)"
        yield Difference(f"{ADOPTED}: the policy {ACCESS_POLICY} is missing", remedy)
    for sequence in sequences(connection):
        held = text("SELECT has_sequence_privilege(:role, :sequence, 'USAGE')")
        name = spell(connection, "{sequence}", sequence=sequence)
        if not connection.execute(held, {"role": role, "sequence": name}).scalar_one():
            remedy = spell(connection, "GRANT USAGE ON SEQUENCE {sequence} TO {role}", sequence=sequence, role=role)
            yield Difference(f"{ADOPTED}: the role {role} lacks USAGE on the sequence {name}", remedy)


def _table(connection: Connection, table: str, role: str, *, forced: bool) -> Iterator[Difference]:
    flags = text("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = to_regclass(:table)")
    enabled, owner_bound = connection.execute(flags, {"table": _name(connection, table)}).one()
    if not enabled:
        remedy = spell(connection, "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", table=table)
        yield Difference(f"{table}: row-level security is off", remedy)
    if forced and not owner_bound:
        remedy = spell(connection, "ALTER TABLE {table} FORCE ROW LEVEL SECURITY", table=table)
        yield Difference(f"{table}: row-level security does not bind the table's owner", remedy)
    yield from _grants(connection, table, role)


def _grants(connection: Connection, table: str, role: str) -> Iterator[Difference]:
    rights = text(
        "SELECT one FROM unnest(CAST(:rights AS text[])) AS one WHERE has_table_privilege(:role, :table, one)"
    )
    asked = {"rights": [*_NEEDED, "TRUNCATE"], "role": role, "table": _name(connection, table)}
    held = set(connection.execute(rights, asked).scalars())
    lacking = ", ".join(right for right in _NEEDED if right not in held)
    if lacking:
        remedy = spell(connection, f"GRANT {lacking} ON {{table}} TO {{role}}", table=table, role=role)
        yield Difference(f"{table}: the role {role} lacks {lacking}", remedy)
    if "TRUNCATE" in held:
        remedy = spell(connection, "REVOKE TRUNCATE ON {table} FROM PUBLIC, {role}", table=table, role=role)
        told = f"{table}: the role {role} may TRUNCATE, which row-level security does not govern"
        yield Difference(told, remedy)


def _provisioning(connection: Connection, role: str) -> Iterator[Difference]:
    columns = text(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = ANY(:columns) "
        "AND NOT has_column_privilege(:role, attrelid, attnum, 'INSERT') ORDER BY attnum"
    )
    asked = {"role": role, "table": _name(connection, PROVISIONED), "columns": list(PROVISIONED_COLUMNS)}
    lacking: Sequence[str] = connection.execute(columns, asked).scalars().all()
    if lacking:
        listed = ", ".join(lacking)
        remedy = spell(connection, f"GRANT INSERT ({listed}) ON {{table}} TO {{role}}", table=PROVISIONED, role=role)
        yield Difference(f"{PROVISIONED}: the role {role} lacks INSERT on {listed}", remedy)


def _functions(connection: Connection, role: str) -> Iterator[Difference]:
    standing = text(
        "SELECT prosecdef, has_function_privilege(:role, oid, 'EXECUTE'), EXISTS (SELECT FROM "
        "aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0) FROM pg_proc "
        "WHERE oid = to_regprocedure(:function)"
    )
    for function in APPENDING:
        name = function.partition("(")[0]
        row = connection.execute(standing, {"role": role, "function": function}).one_or_none()
        if row is None:
            yield Difference(f"{name}: the function is missing", RESTORE)
            continue
        as_owner, callable_, by_everybody = row
        if as_owner:
            told = f"{name}: the function runs as its owner, whom row-level security may not bind"
            yield Difference(told, f"ALTER FUNCTION {function} SECURITY INVOKER")
        if not callable_:
            remedy = spell(connection, f"GRANT EXECUTE ON FUNCTION {function} TO {{role}}", role=role)
            yield Difference(f"{name}: the role {role} may not call the function", remedy)
        if by_everybody:
            yield Difference(
                f"{name}: everybody may call the function", f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC"
            )


def _policies(connection: Connection, table: str) -> list[_Policy]:
    rows = connection.execute(
        text(
            "SELECT polname, polpermissive, CAST(polcmd AS text), "
            "ARRAY(SELECT CAST(rolname AS text) FROM pg_roles WHERE oid = ANY(polroles)), "
            "coalesce(pg_get_expr(polqual, polrelid), ''), coalesce(pg_get_expr(polwithcheck, polrelid), '') "
            "FROM pg_policy WHERE polrelid = to_regclass(:table) ORDER BY polname"
        ),
        {"table": _name(connection, table)},
    )
    return [
        _Policy(name, permissive, command, tuple(roles), _plain(using), _plain(checked))
        for name, permissive, command, roles, using, checked in rows
    ]


def _exists(connection: Connection, table: str) -> bool:
    found = connection.execute(text("SELECT to_regclass(:table)"), {"table": _name(connection, table)})
    return found.scalar() is not None


def _name(connection: Connection, table: str) -> str:
    return spell(connection, "{table}", table=table)


def _plain(expression: str) -> str:
    return _SPELT_OUT.sub("", expression).lower()
