"""Let PostgreSQL itself keep users apart: the runtime role, its grants, and row-level security, forced.

On other databases there is nothing to do.
"""

import sqlalchemy as sa
from alembic import op

from hansard.database.isolation import ensure_role, isolate, leave_others_alone, quote

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("conversations", "messages")


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    role = op.get_context().config.attributes["role"]
    ensure_role(op.get_bind(), role)
    for table in TABLES:
        isolate(table, role)
    leave_others_alone("task", role)
    op.execute(sa.text(f'GRANT INSERT (id, email, created_at) ON "user" TO {quote(role)}'))


def downgrade() -> None:
    """Take our policies off Phase 2's table; ours go with their tables. The role belongs to the cluster and stays."""
