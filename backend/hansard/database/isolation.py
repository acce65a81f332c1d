"""Say in PostgreSQL's words who may see which row; revisions call this."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

OWN_ROWS = "user_id = nullif(current_setting('hansard.user_id', true), '')"


def quote(name: str) -> str:
    """Return an SQL identifier."""
    return str(PGDialect_psycopg().identifier_preparer.quote_identifier(name))


def ensure_role(connection: Connection, role: str) -> None:
    """Make the runtime role when the cluster lacks it, and let the login act as it."""
    known = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first()
    if known is None:
        op.execute(text(f"CREATE ROLE {quote(role)} NOLOGIN"))
    op.execute(text(f"GRANT {quote(role)} TO CURRENT_USER"))
    schema = connection.execute(text("SELECT current_schema()")).scalar_one()
    op.execute(text(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(role)}"))


def isolate(table: str, role: str) -> None:
    """Let every login, the owner and superusers acting as the role included, see one user's rows of our table."""
    op.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {quote(table)} TO {quote(role)}"))
    op.execute(text(f"ALTER TABLE {quote(table)} ENABLE ROW LEVEL SECURITY"))
    op.execute(text(f"ALTER TABLE {quote(table)} FORCE ROW LEVEL SECURITY"))
    op.execute(text(f"CREATE POLICY hansard_own_rows ON {quote(table)} USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"))


def leave_others_alone(table: str, role: str) -> None:
    """Bind our runtime role on the application's own table, and nobody else."""
    op.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {quote(table)} TO {quote(role)}"))
    op.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {quote(_schema())} TO {quote(role)}"))
    op.execute(text(f"ALTER TABLE {quote(table)} ENABLE ROW LEVEL SECURITY"))
    ours = f"current_user <> '{role}' OR {OWN_ROWS}"
    op.execute(text(f"CREATE POLICY hansard_own_rows ON {quote(table)} USING ({ours}) WITH CHECK ({ours})"))


def _schema() -> str:
    return str(op.get_bind().execute(text("SELECT current_schema()")).scalar_one())
