"""Tell PostgreSQL's planner that a conversation belongs to one user.

Without, it takes the two for independent, multiplies their shares, and expects so few messages of a long conversation
that sorting them looks cheaper than reading on in their order: a page then costs as much as the rest of the history.
What it knows changes with the next ANALYZE, which autovacuum runs. Nobody is kept waiting meanwhile.
"""

import sqlalchemy as sa
from alembic import op

from hansard.database.isolation import on_postgres

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NAME = "st_messages_user_id_conversation_id"


def upgrade() -> None:
    if on_postgres():
        op.execute(sa.text(f"CREATE STATISTICS {NAME} (dependencies) ON user_id, conversation_id FROM messages"))


def downgrade() -> None:
    if on_postgres():
        op.execute(sa.text(f"DROP STATISTICS IF EXISTS {NAME}"))
