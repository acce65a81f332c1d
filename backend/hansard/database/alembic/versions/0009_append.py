"""Make the functions that append items on PostgreSQL.

They run the statements of `hansard.store.statements` that reserve positions and fill them, which elsewhere are sent one
by one. A server parses and plans what it is sent anew each time, since behind a pooler nothing can count on being
prepared, and that was 40 % of an append; the plans of a function it keeps. Nothing else is different: the functions run
as their caller, whom grants, keys and row-level security bind as ever. See docs/decisions/0006-one-round-trip.md.

Another revision that appends otherwise needs other names, because two releases may be at work at once.
"""

from alembic import op
from sqlalchemy import text

from hansard.database.isolation import APPENDING, on_postgres, runtime_role
from hansard.database.spelling import execute

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

RESERVE = """UPDATE {schema}.conversations AS c SET
        title = CASE WHEN c.title_source IS NULL AND auto_title IS NOT NULL THEN auto_title ELSE c.title END,
        title_source =
            CASE WHEN c.title_source IS NULL AND auto_title IS NOT NULL THEN 'auto' ELSE c.title_source END,
        next_position = c.next_position + many,
        message_count = c.message_count + many,
        revision = c.revision + 1,
        updated_at = clock_timestamp(),
        last_message_at = greatest(c.last_message_at, clock_timestamp())
    WHERE c.user_id = me AND c.id = conversation
    RETURNING c.next_position, c.last_message_at INTO following, stamp;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO {schema}.messages (user_id, conversation_id, position, kind, role, status, content, payload, client_id,
        public_id, created_at)"""

ONE = """
CREATE FUNCTION {schema}.hansard_append(
    me text, conversation uuid, auto_title text, kind text, role text, status text, content text, payload text,
    client_id text, public_id bytea, OUT following bigint, OUT stamp timestamptz)
LANGUAGE plpgsql
AS $function$
DECLARE
    many CONSTANT bigint := 1;
BEGIN
    {reserve}
    VALUES (me, conversation, following - 1, kind, role, status, content, payload, client_id, public_id, stamp);
END
$function$
""".replace("{reserve}", RESERVE)

SEVERAL = """
CREATE FUNCTION {schema}.hansard_append_all(
    me text, conversation uuid, auto_title text, kinds text[], roles text[], statuses text[], contents text[],
    payloads text[], client_ids text[], public_ids bytea[], OUT following bigint, OUT stamp timestamptz)
LANGUAGE plpgsql
AS $function$
DECLARE
    many CONSTANT bigint := cardinality(kinds);
BEGIN
    {reserve}
    SELECT me, conversation, following - many + brought.place - 1, brought.kind, brought.role, brought.status,
        brought.content, brought.payload, brought.client_id, brought.public_id, stamp
    FROM unnest(kinds, roles, statuses, contents, payloads, client_ids, public_ids) WITH ORDINALITY
        AS brought (kind, role, status, content, payload, client_id, public_id, place);
END
$function$
""".replace("{reserve}", RESERVE)


def upgrade() -> None:
    if not on_postgres():
        return
    connection = op.get_bind()
    schema = connection.execute(text("SELECT current_schema()")).scalar_one()
    for function in (ONE, SEVERAL):
        execute(connection, function, schema=schema)
    for signature in APPENDING:
        execute(connection, f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        execute(connection, f"GRANT EXECUTE ON FUNCTION {signature} TO {{role}}", role=runtime_role())


def downgrade() -> None:
    if on_postgres():
        for signature in APPENDING:
            execute(op.get_bind(), f"DROP FUNCTION IF EXISTS {signature}")
