"""Say in PostgreSQL's words who may see which row; revisions call this, and other databases have nothing to say.

Our own tables are closed to everybody: whoever reads them, the owner included, sees the rows of the user that the
transaction was opened for. On the application's table ``task`` the runtime role alone is bound, and everybody else's
queries keep their meaning and their plans: docs/decisions/0014-row-level-security-on-the-adopted-table.md.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import Connection, text

from hansard.database.direct import Limits
from hansard.database.spelling import Name, execute

OWN_POLICY = "hansard_own_rows"
OWN_ROWS = "user_id = nullif(current_setting('hansard.user_id', true), '')"
OWN_POLICY_MADE = f"CREATE POLICY {OWN_POLICY} ON {{table}} USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"

# On Phase 2's table: who gets in at all, and what narrows the runtime role.
ADOPTED = "task"
ACCESS_POLICY = "hansard_access"
# A login that inherits the role has the role's policies on its own queries too: the first half lets those pass.
OWN_ROWS_AS_ROLE = f"current_user <> {{literal}} OR {OWN_ROWS}"
RESTRICTION_MADE = (
    f"CREATE POLICY {OWN_POLICY} ON {{table}} AS RESTRICTIVE TO {{role}} "
    f"USING ({OWN_ROWS_AS_ROLE}) WITH CHECK ({OWN_ROWS_AS_ROLE})"
)

# What appends items. These run as their caller, whom row-level security binds as it binds his statements.
APPENDING = (
    "hansard_append(text, uuid, text, text, text, text, text, text, text, bytea)",
    "hansard_append_all(text, uuid, text, text[], text[], text[], text[], text[], text[], bytea[])",
)

# What Hansard fills in of a user it makes.
PROVISIONED = "user"
PROVISIONED_COLUMNS = ("id", "email", "created_at", "updated_at")


def isolate(table: str, role: str) -> None:
    """Close one of our tables, just made by this revision: all see one user's rows, or none; ``role`` may use it."""
    if not on_postgres():
        return
    _say("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}", table=table, role=role)
    _say("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", table=table)
    _say("ALTER TABLE {table} FORCE ROW LEVEL SECURITY", table=table)
    _say(OWN_POLICY_MADE, table=table)


def release(table: str, role: str | None) -> None:
    """Undo `isolate`."""
    if not on_postgres():
        return
    if role is not None:
        _say("REVOKE ALL ON {table} FROM {role}", table=table, role=role)
    _say(f"DROP POLICY IF EXISTS {OWN_POLICY} ON {{table}}", table=table)
    _say("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY", table=table)
    _say("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY", table=table)


def bind(role: str) -> None:
    """Grant the runtime role what it needs of Phase 2's tables, and bind it there to one user's rows."""
    if not on_postgres():
        return
    connection = op.get_bind()
    _say("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}", table=ADOPTED, role=role)
    for sequence in sequences(connection):
        _say("GRANT USAGE ON SEQUENCE {sequence} TO {role}", sequence=sequence, role=role)
    _say(f"GRANT INSERT ({_columns(connection)}) ON {{table}} TO {{role}}", table=PROVISIONED, role=role)
    _open_schema(connection, role)
    _add_policies(connection, role)


def unbind(role: str | None) -> None:
    """Undo `bind`; row-level security goes off again unless the application has policies of its own."""
    if not on_postgres():
        return
    connection = op.get_bind()
    if role is not None:
        _say("REVOKE ALL ON {table} FROM {role}", table=ADOPTED, role=role)
        for sequence in sequences(connection):
            _say("REVOKE ALL ON SEQUENCE {sequence} FROM {role}", sequence=sequence, role=role)
        _say("REVOKE ALL ON {table} FROM {role}", table=PROVISIONED, role=role)
        _say("REVOKE USAGE ON SCHEMA {schema} FROM {role}", schema=_schema(connection), role=role)
    for policy in (OWN_POLICY, ACCESS_POLICY):
        _say("DROP POLICY IF EXISTS {policy} ON {table}", policy=policy, table=ADOPTED)
    if not _has_policies(connection):
        _say("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY", table=ADOPTED)


def bound_role() -> str | None:
    """Return the runtime role that `bind` was called for, as the database knows it; ``None`` without one."""
    if not on_postgres():
        return None
    role = op.get_bind().execute(
        text(
            "SELECT rolname FROM pg_policy JOIN pg_roles r ON r.oid = ANY(polroles) "
            "WHERE polrelid = to_regclass(:table) AND polname = :policy"
        ),
        {"table": ADOPTED, "policy": OWN_POLICY},
    )
    return role.scalars().first()


def sequences(connection: Connection) -> list[tuple[str, str]]:
    """Return the sequences, as schema and name, from which the ids of new tasks come."""
    rows = connection.execute(
        text(
            "SELECT n.nspname, s.relname FROM pg_attrdef d "
            "JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid "
            "JOIN pg_class s ON p.refclassid = 'pg_class'::regclass AND s.oid = p.refobjid AND s.relkind = 'S' "
            "JOIN pg_namespace n ON n.oid = s.relnamespace WHERE d.adrelid = to_regclass(:table)"
        ),
        {"table": ADOPTED},
    )
    return [(schema, name) for schema, name in rows]


def runtime_role() -> str:
    """Return the runtime role that this upgrade was called with."""
    return str(_attributes()["role"])


def lock_seconds() -> float:
    """Return how long a revision may wait for a table."""
    limits: Limits = _attributes()["limits"]
    return limits.lock


def _attributes() -> dict[str, Any]:
    config = op.get_context().config
    assert config is not None
    return config.attributes


def on_postgres() -> bool:
    """Say whether this revision runs on PostgreSQL."""
    return op.get_bind().dialect.name == "postgresql"


def _add_policies(connection: Connection, role: str) -> None:
    enabled = text("SELECT relrowsecurity FROM pg_class WHERE oid = to_regclass(:table)")
    if connection.execute(enabled, {"table": ADOPTED}).scalar_one():
        # The application tells its own users apart by policies: ours must let in nobody but us.
        rule = f"TO {{role}} USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
    else:
        rule = "TO PUBLIC USING (true) WITH CHECK (true)"
        _say("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", table=ADOPTED)
    _say(f"CREATE POLICY {ACCESS_POLICY} ON {{table}} {rule}", table=ADOPTED, role=role)
    _say(RESTRICTION_MADE, texts={"literal": role}, table=ADOPTED, role=role)


def _has_policies(connection: Connection) -> bool:
    found = text("SELECT EXISTS (SELECT FROM pg_policy WHERE polrelid = to_regclass(:table))")
    return bool(connection.execute(found, {"table": ADOPTED}).scalar_one())


def _open_schema(connection: Connection, role: str) -> None:
    # Everybody may use the schema public as a rule, and then its owner alone may grant that.
    schema = _schema(connection)
    usable = text("SELECT has_schema_privilege(:role, :schema, 'USAGE')")
    if not connection.execute(usable, {"role": role, "schema": schema}).scalar_one():
        _say("GRANT USAGE ON SCHEMA {schema} TO {role}", schema=schema, role=role)


def _columns(connection: Connection) -> str:
    there = connection.execute(
        text("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = ANY(:columns)"),
        {"table": f'"{PROVISIONED}"', "columns": list(PROVISIONED_COLUMNS)},
    )
    return ", ".join(sorted(there.scalars()))


def _schema(connection: Connection) -> str:
    return str(connection.execute(text("SELECT current_schema()")).scalar_one())


def _say(template: str, *, texts: dict[str, str] | None = None, **names: Name) -> None:
    execute(op.get_bind(), template, texts=texts, **names)
