"""Let PostgreSQL itself keep users apart: grants of the runtime role, and row-level security, forced.

On other databases there is nothing to do. The role itself is seen to before any revision runs; it belongs to the
cluster and no revision drops it.
"""

import sqlalchemy as sa
from alembic import op

from hansard.database import isolation

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("conversations", "messages")


def upgrade() -> None:
    role = isolation.runtime_role()
    for table in TABLES:
        isolation.isolate(table, role)
    isolation.bind(role)
    if isolation.on_postgres():
        # A service that is no owner asks whether the schema is as new as itself.
        op.execute(sa.text("GRANT SELECT ON hansard_version TO PUBLIC"))


def downgrade() -> None:
    role = isolation.bound_role()
    for table in TABLES:
        isolation.release(table, role)
    isolation.unbind(role)
