"""Revisions that make the functions of search anew leave what searches find, and index, as it must be."""

import unicodedata

import pytest
from psycopg.rows import scalar_row

from hansard.database import migrations, search_index
from hansard.database.dialects.postgres import PostgresBackend
from hansard.database.search_postgres import FUNCTION
from hansard.models.search import SearchSettings
from tests.support.postgres_search import connect, find, indexes, write

READER = "hansard_app_search"


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

    def test_are_all_that_unicode_calls_neither_letter_nor_mark_nor_number(self, pg_empty_url):
        migrations.upgrade(pg_empty_url)
        with connect(pg_empty_url) as connection:
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
