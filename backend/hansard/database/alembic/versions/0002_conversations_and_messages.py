"""Make `conversations` and `messages`."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("external_id", sa.String(255)),
        sa.Column("listed", sa.Boolean, nullable=False),
        sa.Column("title", sa.String(255)),
        sa.Column("title_source", sa.String(5)),
        sa.Column("metadata", sa.Text),
        sa.Column("next_position", sa.BigInteger, nullable=False),
        sa.Column("message_count", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("last_message_at", INSTANT, nullable=False),
        sa.Column("archived_at", INSTANT),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_conversations"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_conversations_user"),
        sa.CheckConstraint("user_id <> ''", name=op.f("ck_conversations_user_id_given")),
        sa.CheckConstraint(
            "title_source IN ('auto', 'user', 'model')", name=op.f("ck_conversations_title_source_known")
        ),
        sa.CheckConstraint(
            "message_count >= 0 AND message_count < next_position",
            name=op.f("ck_conversations_message_count_possible"),
        ),
    )
    _partial_index(
        "uq_conversations_user_id_source_external_id",
        "conversations",
        ["user_id", "source", "external_id"],
        "external_id IS NOT NULL",
        unique=True,
    )
    by_activity = ["user_id", "last_message_at", "id"]
    _partial_index("ix_conversations_active", "conversations", by_activity, "listed AND archived_at IS NULL")
    _partial_index("ix_conversations_archived", "conversations", by_activity, "listed AND archived_at IS NOT NULL")
    _make_messages()


def _make_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("conversation_id", sa.Uuid, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("role", sa.String(9)),
        sa.Column("status", sa.String(32)),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("payload", sa.Text),
        sa.Column("client_id", sa.String(255)),
        sa.Column("public_id", sa.LargeBinary(24)),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "conversation_id", "position", name="pk_messages"),
        sa.ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            name="fk_messages_conversations",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("position >= 1", name=op.f("ck_messages_position_positive")),
        sa.CheckConstraint(
            "role IN ('user', 'assistant', 'system', 'developer', 'tool')", name=op.f("ck_messages_role_known")
        ),
    )
    _partial_index(
        "uq_messages_user_id_conversation_id_client_id",
        "messages",
        ["user_id", "conversation_id", "client_id"],
        "client_id IS NOT NULL",
        unique=True,
    )
    _partial_index(
        "uq_messages_user_id_public_id", "messages", ["user_id", "public_id"], "public_id IS NOT NULL", unique=True
    )


def _partial_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_table("messages")
    op.drop_table("conversations")
