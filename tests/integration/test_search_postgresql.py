"""What search must do on PostgreSQL beyond the contract: use its indexes, and open no way to others' messages."""

import re

import pytest
from psycopg import errors

from hansard.database import migrations, search_index
from hansard.errors import ConfigurationError, SchemaOutdated
from hansard.models.search import SearchSettings
from tests.support.logins import Login
from tests.support.postgres_search import connect, find, indexes, write

READER = "hansard_app_search"
CALL = "SELECT * FROM hansard_search('simple', %s, '{}', %s, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 10)"
COLUMNS = "user_id, conversation_id, position, kind, role, content, created_at"


@pytest.fixture
def url(pg_empty_url):
    migrations.upgrade(pg_empty_url)
    return pg_empty_url


@pytest.fixture
def indexed_url(url):
    assert search_index.apply(url, SearchSettings("words+substring")) == []
    return url


class TestTheWayPastRowLevelSecurity:
    @pytest.fixture
    def app(self, indexed_url):
        """A connection that acts as the service does, for nobody yet."""
        write(indexed_url, ada="milk of Ada", bob="milk of Bob")
        with connect(indexed_url) as connection:
            connection.execute("SET ROLE hansard_app")
            yield connection

    @pytest.mark.parametrize("forget", ["RESET hansard.user_id", "SET hansard.user_id = ''"])
    def test_is_closed_without_a_user(self, app, forget):
        app.execute(forget)
        with pytest.raises(errors.InsufficientPrivilege, match="hansard_search needs a user"):
            app.execute(CALL, [["=milk"], False])

    @pytest.mark.parametrize("substrings", [True, False])
    @pytest.mark.parametrize("term", ["=milk", "*m", "=of", "~%", "~_", "=", "*", "x", ""])
    def test_leads_to_nobody_elses_messages(self, app, term, substrings):
        app.execute("SET hansard.user_id = 'ada'")
        found = app.execute(CALL, [[term], substrings]).fetchall()
        assert {row[8] for row in found} <= {"milk of Ada"}

    def test_is_closed_to_everybody_but_the_service(self, url, indexed_url, pg_server):
        stranger = Login(pg_server)
        with connect(stranger.url(indexed_url)) as connection:
            connection.execute("SET hansard.user_id = 'ada'")
            with pytest.raises(errors.InsufficientPrivilege, match="permission denied for function hansard_search"):
                connection.execute(CALL, [["=milk"], False])

    def test_cannot_be_redirected(self, app):
        app.execute("SET hansard.user_id = 'ada'")
        app.execute("RESET ROLE")
        app.execute("CREATE TEMPORARY TABLE messages AS TABLE public.messages")
        app.execute("UPDATE pg_temp.messages SET user_id = 'ada'")
        app.execute("CREATE SCHEMA trap")
        app.execute("CREATE FUNCTION trap.lower(text) RETURNS text LANGUAGE sql RETURN 'trapped'")
        app.execute("GRANT USAGE ON SCHEMA trap TO hansard_app")
        app.execute("SET search_path = trap, pg_temp, public, pg_catalog")
        app.execute("SET ROLE hansard_app")
        found = app.execute(CALL, [["=milk"], True]).fetchall()
        assert [row[8] for row in found] == ["milk of Ada"]

    def test_is_kept_by_a_role_that_can_do_nothing_else(self, indexed_url):
        with connect(indexed_url) as connection:
            attributes = "rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
            role = connection.execute(f"SELECT {attributes} FROM pg_roles WHERE rolname = %s", [READER]).fetchone()
            assert role == (False,) * 6
            owned = connection.execute(
                "SELECT oid::regprocedure::text FROM pg_proc WHERE proowner = %s::regrole", [READER]
            )
            assert [name.partition("(")[0] for (name,) in owned] == ["hansard_search"]
            assert connection.execute("SELECT has_schema_privilege(%s, 'public', 'CREATE')", [READER]).fetchone() == (
                False,
            )
            connection.execute(f"SET ROLE {READER}")
            for statement in [
                'SELECT count(*) FROM "user"',
                "SELECT count(*) FROM task",
                "SELECT answer FROM idempotency_keys",
                "SELECT payload FROM messages",
                "SELECT metadata FROM conversations",
                "DELETE FROM messages",
                "UPDATE conversations SET title = ''",
                f"INSERT INTO messages ({COLUMNS}) SELECT {COLUMNS} FROM messages",
            ]:
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute(statement)

    def test_leaves_the_tables_as_closed_as_they_were(self, app, indexed_url):
        assert app.execute("SELECT count(*) FROM messages").fetchone() == (0,)
        app.execute("SET hansard.user_id = 'ada'")
        assert app.execute("SELECT count(*) FROM messages").fetchone() == (1,)
        assert migrations.check(indexed_url) == []

    def test_is_made_by_an_owner_who_may_make_roles_and_lets_that_owner_in_nowhere(self, pg_server, pg_empty_url):
        owner = Login(pg_server, attributes="CREATEROLE")
        own_url = owner.owns(pg_empty_url)
        owner.acts_as("hansard_app")
        migrations.upgrade(own_url, role="an_app")
        assert search_index.apply(own_url, SearchSettings(), role="an_app") == []
        write_as_app(own_url)
        with connect(own_url) as connection:
            assert connection.execute("SELECT count(*) FROM messages").fetchone() == (0,)
            assert connection.execute("SELECT pg_has_role('an_app_search', 'USAGE')").fetchone() == (False,)
            connection.execute("SET ROLE an_app")
            connection.execute("SET hansard.user_id = 'ada'")
            assert len(connection.execute(CALL, [["=milk"], False]).fetchall()) == 1


def write_as_app(url):
    with connect(url) as connection:
        connection.execute("""INSERT INTO "user" (id, created_at) VALUES ('ada', now()), ('bob', now())""")
        connection.execute("SET ROLE an_app")
        for user_id in ("ada", "bob"):
            connection.execute("SELECT set_config('hansard.user_id', %s, false)", [user_id])
            connection.execute(
                "INSERT INTO conversations (user_id, id, source, listed, next_position, message_count, revision, "
                "created_at, updated_at, last_message_at) "
                "VALUES (%s, gen_random_uuid(), '', true, 2, 1, 1, now(), now(), now())",
                [user_id],
            )
            connection.execute(
                f"INSERT INTO messages ({COLUMNS}) SELECT user_id, id, 1, 'message', 'user', 'milk', now() "
                "FROM conversations"
            )


class TestWhereTheLoginMayNotSetItUp:
    def test_search_is_right_all_the_same_and_the_remedy_is_told(self, pg_server, pg_empty_url):
        owner = Login(pg_server)
        own_url = owner.owns(pg_empty_url)
        owner.acts_as("hansard_app")
        with connect(pg_empty_url) as connection:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [READER]).fetchone() is None:
                connection.execute(f"CREATE ROLE {READER} NOLOGIN")
        migrations.upgrade(own_url)
        [told] = search_index.apply(own_url, SearchSettings("words+substring"))
        assert f'GRANT "{READER}" TO' in told
        write(own_url, ada="milk of Ada", bob="milk of Bob")
        assert find(own_url, "ada", "milk") == ["[milk] of Ada"]
        assert find(own_url, "ada", "il", mode="words+substring") == ["m[il]k of Ada"]
        with connect(own_url) as connection:
            connection.execute("SET ROLE hansard_app")
            with pytest.raises(errors.InsufficientPrivilege, match="hansard_search needs a user"):
                connection.execute(CALL, [["=milk"], False])

    def test_a_missing_extension_is_told_too(self, pg_server, pg_empty_url):
        migrations.upgrade(pg_empty_url)
        with connect(pg_empty_url) as connection:
            # What the contrib package of another server may lack: a name that is taken cannot be made.
            connection.execute("CREATE TYPE public.gtrgm AS (x int)")
        [told] = search_index.apply(pg_empty_url, SearchSettings("words+substring"))
        assert "CREATE EXTENSION pg_trgm" in told
        assert indexes(pg_empty_url) == ["words_simple"]


@pytest.fixture(scope="module")
def big_url(pg_server):
    """A table with some thousand messages of several users, so that indexes are worth their while."""
    url = pg_server.clone()
    migrations.upgrade(url)
    assert search_index.apply(url, SearchSettings("words+substring")) == []
    with connect(url) as connection:
        connection.execute(
            "INSERT INTO \"user\" (id, created_at) SELECT 'u' || u, now() FROM generate_series(1, 5) AS u"
        )
        connection.execute(
            "INSERT INTO conversations (user_id, id, source, listed, next_position, message_count, revision, "
            "created_at, updated_at, last_message_at) SELECT 'u' || u, gen_random_uuid(), '', true, 401, 400, 1, "
            "now(), now(), now() FROM generate_series(1, 5) AS u, generate_series(1, 2)"
        )
        connection.execute(
            f"INSERT INTO messages ({COLUMNS}) SELECT user_id, id, n, 'message', 'user', "
            "'some words about topic' || n || 'x and others like word' || n % 50, now() "
            "FROM conversations, generate_series(1, 400) AS n"
        )
        connection.execute("VACUUM ANALYZE messages")
    yield url
    pg_server.drop(url)


class TestThePlan:
    PLAN_SETTINGS = (
        "LOAD 'auto_explain'",
        "SET auto_explain.log_min_duration = 0",
        "SET auto_explain.log_nested_statements = on",
        "SET auto_explain.log_level = 'notice'",
        "SET client_min_messages = 'notice'",
    )

    def plan_of(self, url, terms, *, substrings):
        with connect(url) as connection:
            for setting in self.PLAN_SETTINGS:
                connection.execute(setting)
            connection.execute("SET ROLE hansard_app")
            connection.execute("SET hansard.user_id = 'u3'")
            plans = []
            connection.add_notice_handler(lambda notice: plans.append(notice.message_primary))
            found = connection.execute(CALL, [terms, substrings]).fetchall()
        [plan] = [plan for plan in plans if "WITH newest AS" in plan]
        return len(found), plan[plan.rindex("\nLimit" if "\nLimit" in plan else "\nNested Loop") :]

    def test_goes_by_user_and_words_in_one_index_condition(self, big_url):
        found, plan = self.plan_of(big_url, ["=topic7x"], substrings=False)
        assert found == 2
        [condition] = re.findall(r"Index Scan on ix_messages_search_words_simple.*\n\s+Index Cond: (.*)", plan)
        assert "(user_id)::text = 'u3'::text" in condition
        assert "hansard_words('simple'::regconfig, content) @@ '''topic7x'''::tsquery" in condition
        assert "Seq Scan" not in plan

    def test_goes_by_user_and_trigrams_in_one_index_condition(self, big_url):
        found, plan = self.plan_of(big_url, ["=opic77x"], substrings=True)
        assert found == 2
        [condition] = re.findall(r"Index Scan on ix_messages_search_substrings.*\n\s+Index Cond: (.*)", plan)
        assert "(user_id)::text = 'u3'::text" in condition
        assert "~~* '%opic77x%'::text" in condition

    def test_shows_no_row_level_security_between(self, big_url):
        _, plan = self.plan_of(big_url, ["=topic7x"], substrings=False)
        assert "current_setting" not in plan


class TestTheSetting:
    @pytest.mark.parametrize(
        "mode, expected",
        [("off", []), ("words", ["words_simple"]), ("words+substring", ["substrings", "words_simple"])],
    )
    def test_says_which_indexes_there_are(self, url, mode, expected):
        for before in ("words+substring", "off", mode, mode):
            assert search_index.apply(url, SearchSettings(before)) == []
        assert indexes(url) == expected
        assert migrations.check(url) == []

    def test_says_in_which_language_words_are_found(self, url):
        write(url, ada="They were running home")
        for language, found in [("simple", []), ("english", ["They were [running] home"]), ("simple", [])]:
            search_index.apply(url, SearchSettings(language=language))
            assert indexes(url) == [f"words_{language}"]
            assert find(url, "ada", "run", language=language) == found

    def test_names_only_languages_that_the_server_knows(self, url):
        with pytest.raises(ConfigurationError, match="klingon"):
            search_index.apply(url, SearchSettings(language="klingon"))

    def test_needs_a_migrated_database(self, pg_empty_url):
        with pytest.raises(SchemaOutdated):
            search_index.apply(pg_empty_url, SearchSettings())

    def test_may_be_applied_while_messages_are_written(self, url):
        write(url, ada="milk")
        with connect(url) as connection:
            connection.execute("INSERT INTO \"user\" (id, created_at) VALUES ('eve', now())")
        search_index.apply(url, SearchSettings())
        write(url, ada="more milk")
        assert sorted(find(url, "ada", "milk")) == ["[milk]", "more [milk]"]

    def test_makes_an_index_anew_that_was_never_finished(self, indexed_url):
        with connect(indexed_url) as connection:
            connection.execute(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_messages_search_words_simple'::regclass"
            )
        assert search_index.apply(indexed_url, SearchSettings()) == []
        with connect(indexed_url) as connection:
            valid = connection.execute(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_messages_search_words_simple'::regclass"
            )
            assert valid.fetchone() == (True,)

    def test_is_undone_and_done_again_with_its_revision(self, indexed_url):
        write(indexed_url, ada="milk of Ada")
        migrations.downgrade(indexed_url, "0005")
        assert indexes(indexed_url) == []
        with connect(indexed_url) as connection:
            left = "SELECT count(*) FROM pg_policies WHERE policyname = 'hansard_search'"
            assert connection.execute(left).fetchone() == (0,)
        migrations.upgrade(indexed_url)
        search_index.apply(indexed_url, SearchSettings())
        assert find(indexed_url, "ada", "milk") == ["[milk] of Ada"]
