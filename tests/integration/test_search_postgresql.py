"""What search must do on PostgreSQL beyond the contract: use its indexes, and open no way to others' messages."""

import asyncio
import re
import unicodedata
from contextlib import closing

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import scalar_row

from hansard.database import migrations, open_database, search_index
from hansard.database.dialects.postgres import PostgresBackend
from hansard.database.search_postgres import FUNCTION
from hansard.errors import ConfigurationError, SchemaOutdated
from hansard.models.search import SearchSettings
from hansard.store.sql import SqlStore
from tests.support.logins import Login
from tests.support.store_steps import says

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


def connect(url):
    return closing(psycopg.connect(url, autocommit=True))


def indexes(url):
    with connect(url) as connection:
        cursor = connection.cursor(row_factory=scalar_row)
        cursor.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'ix_messages_search%' ORDER BY 1")
        return [name.removeprefix("ix_messages_search_") for name in cursor]


def write(url, **messages):
    """Store one message for each user."""

    async def store():
        database = await open_database(url)
        for user_id, text in messages.items():
            await SqlStore(database).for_user(user_id).conversations.create(items=says(text))
        await database.close()

    asyncio.run(store())


def find(url, user_id, query, **settings):
    """Return the snippets of what a user finds, with matches in brackets."""

    async def search():
        database = await open_database(url)
        store = SqlStore(database, search=SearchSettings(**settings))
        hits = (await store.for_user(user_id).search.messages(query)).data
        await database.close()
        return ["".join(f"[{one.text}]" if one.match else one.text for one in hit.snippet) for hit in hits]

    return asyncio.run(search())


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


class TestFunctionsOfEarlier:
    """What revision 0006 once made differently is made anew; what it makes now is left as it stands."""

    STANDS = "SELECT oid, proowner, prosecdef FROM pg_proc WHERE proname = 'hansard_search'"

    @pytest.fixture
    def earlier_url(self, pg_empty_url):
        """As the first databases with search are: one column less, no way to look for phrases, another expression."""
        migrations.upgrade(pg_empty_url, "0007")
        search_index.apply(pg_empty_url, SearchSettings("words"))
        with connect(pg_empty_url) as connection:
            [(made, owner)] = connection.execute(
                "SELECT pg_get_functiondef(oid), proowner::regrole::text FROM pg_proc WHERE proname = 'hansard_search'"
            )
            connection.execute(f"DROP FUNCTION {FUNCTION}")
            connection.execute(made.replace(", stems text[])", ")", 1).replace('"public".hansard_phrase(term)', "''"))
            connection.execute(f"ALTER FUNCTION {FUNCTION} OWNER TO {owner}")
            connection.execute("DROP FUNCTION hansard_phrase(text)")
            connection.execute("CREATE EXTENSION pg_trgm")
            connection.execute(
                "CREATE INDEX ix_messages_search_substrings ON messages "
                "USING gin (user_id, left(content, 200000) gin_trgm_ops)"
            )
        return pg_empty_url

    def test_are_replaced_with_all_that_they_may(self, earlier_url, monkeypatch):
        # As the release of that time wrote.
        monkeypatch.setattr(PostgresBackend, "functions", False)
        write(earlier_url, ada="some fresh milk", bob="milk")
        migrations.upgrade(earlier_url, "0010")
        assert indexes(earlier_url) == ["words_simple"]
        assert find(earlier_url, "ada", '"fresh milk"') == ["some [fresh milk]"]
        assert search_index.apply(earlier_url, SearchSettings("words+substring")) == []
        assert indexes(earlier_url) == ["substrings", "words_simple"]
        with connect(earlier_url) as connection:
            [(_, owner, definer)] = connection.execute(self.STANDS)
            assert (owner, definer) == connection.execute(f"SELECT '{READER}'::regrole::oid, true").fetchone()
        assert find(earlier_url, "ada", '"fresh milk"') == ["some [fresh milk]"]
        migrations.downgrade(earlier_url, "base")

    def test_are_left_alone_where_they_are_those_of_today(self, pg_empty_url):
        migrations.upgrade(pg_empty_url, "0007")
        search_index.apply(pg_empty_url, SearchSettings("words+substring"))
        with connect(pg_empty_url) as connection:
            before = connection.execute(self.STANDS).fetchall()
            migrations.upgrade(pg_empty_url, "0010")
            assert connection.execute(self.STANDS).fetchall() == before
        assert indexes(pg_empty_url) == ["substrings", "words_simple"]


class TestSeparators:
    """What is no letter, mark or number separates words, and an index that was made otherwise is not believed."""

    def test_are_replaced_and_the_index_of_words_is_made_anew(self, pg_empty_url):
        migrations.upgrade(pg_empty_url, "0010")
        search_index.apply(pg_empty_url, SearchSettings("words+substring"))
        write(pg_empty_url, ada="حليب، خبز", bob="milk")
        assert find(pg_empty_url, "ada", "حليب") == []
        migrations.upgrade(pg_empty_url)
        assert indexes(pg_empty_url) == ["substrings"]
        assert find(pg_empty_url, "ada", "حليب") == ["[حليب]، خبز"]
        assert search_index.apply(pg_empty_url, SearchSettings("words+substring")) == []
        assert indexes(pg_empty_url) == ["substrings", "words_simple"]
        assert find(pg_empty_url, "ada", "حليب") == ["[حليب]، خبز"]
        migrations.downgrade(pg_empty_url, "0010")
        assert indexes(pg_empty_url) == ["substrings"]
        assert find(pg_empty_url, "ada", "حليب") == []

    def test_are_all_that_unicode_calls_neither_letter_nor_mark_nor_number(self, url):
        with connect(url) as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            cursor.execute(
                "SELECT point FROM generate_series(1, 1114111) AS point WHERE point NOT BETWEEN 55296 AND 57343 "
                "AND tsvector_to_array(hansard_words('simple', 'a' || chr(point) || 'b')) = ARRAY['a', 'b']"
            )
            separating = set(cursor)
        category = {point: unicodedata.category(chr(point))[0] for point in range(1, 0x110000)}
        assert not {point for point in separating if category[point] in "LMN"}
        # What becomes a currency symbol, as U+20C1 did in Unicode 17.
        assert separating.issuperset(range(0x20A0, 0x20D0))
        # A later Unicode may have given more characters a meaning.
        if tuple(map(int, unicodedata.unidata_version.split(".")))[:2] <= (15, 1):
            named = {point for point, kind in category.items() if kind not in "LMN"}
            assigned = {point for point in named if unicodedata.category(chr(point)) not in {"Cn", "Cs"}}
            assert assigned <= separating
