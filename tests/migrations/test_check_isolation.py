"""`check` names everything that would let one user see another's rows, or keep the service from its own."""

from collections.abc import Iterator

import psycopg
import pytest

from hansard.database import migrations
from tests.support.pg_server import PostgresServer

DAMAGES = {
    "row-level security switched off": (
        "ALTER TABLE messages DISABLE ROW LEVEL SECURITY",
        "messages: row-level security is off",
    ),
    "the owner exempted": (
        "ALTER TABLE conversations NO FORCE ROW LEVEL SECURITY",
        "conversations: row-level security does not bind the table's owner",
    ),
    "the policy dropped": (
        "DROP POLICY hansard_own_rows ON conversations",
        "conversations: the policy hansard_own_rows is missing, or altered",
    ),
    "the policy opened for reading": (
        "ALTER POLICY hansard_own_rows ON messages USING (true)",
        "messages: the policy hansard_own_rows is missing, or altered",
    ),
    "the policy opened for writing": (
        "ALTER POLICY hansard_own_rows ON messages WITH CHECK (true)",
        "messages: the policy hansard_own_rows is missing, or altered",
    ),
    "a second policy beside ours": (
        "CREATE POLICY support ON messages FOR SELECT USING (true)",
        "messages: the policy support shows the role hansard_app more rows than its user's own",
    ),
    "a grant taken away": (
        "REVOKE UPDATE, DELETE ON conversations FROM hansard_app",
        "conversations: the role hansard_app lacks UPDATE, DELETE",
    ),
    "a right that no policy governs": (
        "GRANT TRUNCATE ON messages TO PUBLIC",
        "messages: the role hansard_app may TRUNCATE, which row-level security does not govern",
    ),
    "the runtime role unbound on task": (
        "DROP POLICY hansard_own_rows ON task",
        "task: the policy hansard_own_rows for the role hansard_app is missing, or altered",
    ),
    "the runtime role unbound on task by its name": (
        "ALTER POLICY hansard_own_rows ON task USING (current_user <> 'another' OR user_id = 'x')",
        "task: the policy hansard_own_rows for the role hansard_app is missing, or altered",
    ),
    "task closed to its own application": (
        "DROP POLICY hansard_access ON task",
        "task: the policy hansard_access is missing",
    ),
    "task left open": ("ALTER TABLE task DISABLE ROW LEVEL SECURITY", "task: row-level security is off"),
    "no ids for new tasks": (
        "REVOKE USAGE ON SEQUENCE task_id_seq FROM hansard_app",
        'task: the role hansard_app lacks USAGE on the sequence "public"."task_id_seq"',
    ),
    "no new users": (
        'REVOKE INSERT (email) ON "user" FROM hansard_app',
        "user: the role hansard_app lacks INSERT on email",
    ),
}


@pytest.fixture
def url(pg_server: PostgresServer) -> Iterator[str]:
    pg_server.make_template("migrated", migrations.upgrade)
    url = pg_server.clone("migrated")
    yield url
    pg_server.drop(url)


@pytest.mark.parametrize("damage, told", DAMAGES.values(), ids=DAMAGES)
def test_check_tells(url, damage, told):
    assert migrations.check(url) == []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(damage.encode())
    assert migrations.check(url) == [told]


def test_check_knows_the_role_by_the_name_it_is_given(url):
    assert migrations.check(url, role="nobody_of_ours") == ["the role nobody_of_ours does not exist"]


def test_a_policy_for_somebody_else_is_no_business_of_ours(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE POLICY auditor ON messages FOR SELECT TO pg_monitor USING (true)")
        connection.execute("CREATE POLICY narrower ON messages AS RESTRICTIVE USING (true)")
    assert migrations.check(url) == []
