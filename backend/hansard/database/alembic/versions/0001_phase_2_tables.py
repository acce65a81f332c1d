"""Make the tables of Phase 2 where they are missing; leave them untouched where they stand.

A downgrade never drops them: they are the application's, and whether we made them is not recorded.
"""

import sqlalchemy as sa
from alembic import op

from hansard.database import adoption, isolation

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    standing = set(sa.inspect(connection).get_table_names())
    if connection.dialect.name == "postgresql":
        adoption.claim(connection, standing, seconds=isolation.lock_seconds())
    if "user" not in standing:
        _make_user()
    if "task" not in standing:
        _make_task()


def downgrade() -> None:
    """Keep both tables."""


def _make_user() -> None:
    op.create_table(
        "user",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("email", sa.String),
        sa.Column("name", sa.String),
        sa.Column("hashed_password", sa.String),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime),
        sa.PrimaryKeyConstraint("id", name="user_pkey"),
        sa.UniqueConstraint("email", name="user_email_key"),
    )


def _make_task() -> None:
    op.create_table(
        "task",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", sa.String(1000)),
        sa.Column("completed", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="task_pkey"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="task_user_id_fkey"),
    )
    op.create_index("ix_task_user_id", "task", ["user_id"])
