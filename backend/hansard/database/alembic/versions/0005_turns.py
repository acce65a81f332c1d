"""Make `turns` and `turn_events`."""

import sqlalchemy as sa
from alembic import op

from hansard.database.isolation import isolate

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _make_turns()
    _make_turn_events()
    if op.get_bind().dialect.name == "postgresql":
        config = op.get_context().config
        assert config is not None
        role = config.attributes["role"]
        isolate("turns", role)
        isolate("turn_events", role)


def _make_turns() -> None:
    op.create_table(
        "turns",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("conversation_id", sa.Uuid, nullable=False),
        sa.Column("ordinal", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(11), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("lease_token", sa.Uuid, nullable=False),
        sa.Column("lease_expires_at", INSTANT, nullable=False),
        sa.Column("cancel_requested_at", INSTANT),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.Column("input_first", sa.BigInteger, nullable=False),
        sa.Column("input_count", sa.BigInteger, nullable=False),
        sa.Column("output_first", sa.BigInteger),
        sa.Column("output_count", sa.BigInteger),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("completed_at", INSTANT),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_turns"),
        sa.ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            name="fk_turns_conversations",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "status IN ('in_progress', 'completed', 'failed', 'cancelled', 'incomplete')",
            name=op.f("ck_turns_status_known"),
        ),
    )
    running = sa.text("status = 'in_progress'")
    op.create_index(
        "uq_turns_running",
        "turns",
        ["user_id", "conversation_id"],
        unique=True,
        sqlite_where=running,
        postgresql_where=running,
    )
    op.create_index("ix_turns_ordinal", "turns", ["user_id", "conversation_id", "ordinal"])


def _make_turn_events() -> None:
    op.create_table(
        "turn_events",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("turn_id", sa.Uuid, nullable=False),
        sa.Column("first_sequence", sa.BigInteger, nullable=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "turn_id", "first_sequence", name="pk_turn_events"),
        sa.ForeignKeyConstraint(
            ["user_id", "turn_id"], ["turns.user_id", "turns.id"], name="fk_turn_events_turns", ondelete="CASCADE"
        ),
        sa.CheckConstraint("last_sequence >= first_sequence", name=op.f("ck_turn_events_sequence_rises")),
    )
    op.create_index("ix_turn_events_created_at", "turn_events", ["user_id", "created_at"])


def downgrade() -> None:
    op.drop_table("turn_events")
    op.drop_table("turns")
