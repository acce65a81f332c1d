"""Make the functions that PostgreSQL searches messages with.

They are right as they are, but slow: under row-level security an index on text is of no use, because its operators
are not leakproof and so are tried on every row of the user. `hansard.database.search_postgres` makes the one way past
that, and the indexes, according to the setting and to what the login may do. See docs/decisions/0016-search.md.

On other databases there is nothing to do.
"""

from alembic import op
from sqlalchemy import Connection, text

from hansard.database import search_postgres, search_sqlite
from hansard.database.isolation import on_postgres, runtime_role
from hansard.database.spelling import execute

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# What separates words is said here and not left to the parser: that depends on the locale, and takes host names,
# paths, tags and signed numbers for words.
SEPARATORS = (
    r"[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7"
    r"\u2000-\u206f\u20a0-\u20cf\u2190-\u245f\u2500-\u2bff\u3000-\u3004\u3008-\u3020\u3030\u303d-\u303f\u30fb"
    r"\ufe10-\ufe1f\ufe30-\ufe6f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\ufff0-\uffff"
    r"\U0001f000-\U0001faff]+"
)

# To count the characters of a text takes longer than to look for something in it, so only long ones are cut. The index
# of substrings has the same expression.
SEARCHED = "CASE WHEN octet_length(m.content) <= 200000 THEN m.content ELSE left(m.content, 200000) END"

# 200,000 characters have at most 800 kB of words. A tsvector beyond a megabyte is an error, and would be one of the
# write that brings the message. In PL/pgSQL because an SQL function would be inlined, and its cost with it: the planner
# would then rather compute the words of all messages than use the index.
WORDS = """
CREATE OR REPLACE FUNCTION {schema}.hansard_words(language regconfig, content text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 5000
AS $function$
BEGIN
    RETURN pg_catalog.to_tsvector(
        language,
        pg_catalog.regexp_replace(
            CASE WHEN pg_catalog.octet_length(content) <= 200000 THEN content ELSE pg_catalog.left(content, 200000) END,
            {separators}, ' ', 'g'));
END
$function$
"""

# A term's first character tells what follows: `=` words as they stand, `*` words of which the last is a beginning, `~`
# nothing that has words.
TERM = """
CREATE OR REPLACE FUNCTION {schema}.hansard_term(language regconfig, term text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT CASE WHEN left(term, 1) = '*' AND numnode(phrase) > 0 THEN phrase::text || ':*' ELSE phrase::text END
    FROM phraseto_tsquery(language, regexp_replace(substr(term, 2), {separators}, ' ', 'g')) AS phrase
)
"""

# A regular expression for words side by side: what is no separator has no other meaning there. An index knows which
# words are in a message, not where; to compute all its words again takes ten times as long as to look.
PHRASE = """
CREATE OR REPLACE FUNCTION {schema}.hansard_phrase(term text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT '(^|' || {separators} || ')' || replace(btrim(spaced), ' ', {separators})
        || CASE WHEN left(term, 1) = '*' THEN '' ELSE '(' || {separators} || '|$)' END
    FROM regexp_replace(lower(substr(term, 2)), {separators}, ' ', 'g') AS spaced
)
"""

# How often the terms stand in the text, with less and less weight for each further time, and in how short a text:
# whole numbers, so that every database and every page comes to the same.
RANK = """
CREATE OR REPLACE FUNCTION {schema}.hansard_rank(beginning text, marks text[]) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    size bigint := pg_catalog.length(beginning);
    bytes bigint := pg_catalog.octet_length(beginning);
    total bigint := 0;
    times bigint;
    mark text;
BEGIN
    FOREACH mark IN ARRAY marks LOOP
        -- In bytes, which need not be counted.
        times := (bytes - pg_catalog.octet_length(pg_catalog.replace(beginning, mark, '')))
            / pg_catalog.octet_length(mark);
        total := total + 1000000 * times / (1000 * times + 1000 + size);
    END LOOP;
    RETURN total;
END
$function$
"""

# With the arguments' values before it, the planner drops what is not asked for and takes the indexes for the rest. The
# finds come first and alone, fenced by OFFSET: among the other conditions, or joined to one another by OR, it would try
# every message. The newest 2,000 are ranked, so that a word that is everywhere costs little more than one that is in
# many places; a find of both kinds counts twice until then. The memory is for remembering the finds one by one: beyond
# it whole pages are remembered, and the words of all their messages computed again.
SEARCH = """
CREATE FUNCTION {schema}.hansard_search(
    language regconfig, wanted text[], unwanted text[], substrings boolean,
    in_conversation uuid, by_role text, since timestamptz, until timestamptz, is_archived boolean,
    place_rank bigint, place_time timestamptz, place_conversation uuid, place_position bigint, page integer)
RETURNS TABLE (
    rank bigint, created_at timestamptz, conversation_id uuid, "position" bigint, kind varchar, role varchar,
    public_id bytea, title varchar, excerpt text, more_before boolean, more_after boolean, stems text[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET max_parallel_workers_per_gather = 0
SET work_mem = '16MB'
AS $function$
#variable_conflict use_column
DECLARE
    me text := nullif(current_setting('hansard.user_id', true), '');
    marks text[] := ARRAY(SELECT lower(substr(term, 2)) FROM unnest(wanted) AS term WHERE length(term) > 1);
    stems text[] := (
        SELECT array_agg(DISTINCT stem)
        FROM unnest(wanted) AS term,
             unnest(tsvector_to_array({schema}.hansard_words(language, substr(term, 2)))) AS stem
        WHERE language <> 'simple'::regconfig);
    patterns text[] := ARRAY(
        SELECT '%' || regexp_replace(substr(term, 2), '([\\\\%_])', '\\\\\\1', 'g') || '%'
        FROM unnest(wanted) AS term);
    not_patterns text[] := ARRAY(
        SELECT '%' || regexp_replace(substr(term, 2), '([\\\\%_])', '\\\\\\1', 'g') || '%'
        FROM unnest(unwanted) AS term);
    longest text := (SELECT pattern FROM unnest(patterns) AS pattern ORDER BY length(pattern) DESC LIMIT 1);
    words tsquery := (
        SELECT string_agg('(' || part || ')', ' & ') FROM (
            SELECT {schema}.hansard_term(language, term) AS part FROM unnest(wanted) AS term) AS parts
        WHERE part <> '');
    phrases text[] := '{{}}';
    not_words tsquery := (
        SELECT string_agg('(' || part || ')', ' | ') FROM (
            SELECT {schema}.hansard_term(language, term) AS part FROM unnest(unwanted) AS term) AS parts
        WHERE part <> '');
BEGIN
    IF me IS NULL THEN
        RAISE insufficient_privilege USING MESSAGE = 'hansard_search needs a user';
    END IF;
    -- A word in another form counts, and shows, by what the forms have in common.
    marks := marks || coalesce(stems, ARRAY[]::text[]);
    -- What words cannot say, they must not be found without where substrings can say it.
    IF substrings AND EXISTS (SELECT FROM unnest(wanted) AS term WHERE term LIKE '~%') THEN
        words := NULL;
    END IF;
    IF language = 'simple'::regconfig THEN
        phrases := ARRAY(
            SELECT {schema}.hansard_phrase(term) FROM unnest(wanted) AS term
            WHERE {schema}.hansard_term(language, term) LIKE '%<->%');
        words := replace(words::text, '<->', '&')::tsquery;
    END IF;
    words := coalesce(words && !! not_words, words);
    RETURN QUERY
    WITH newest AS MATERIALIZED (
        SELECT DISTINCT n.* FROM (
            SELECT f.created_at, f.conversation_id, f.position
            FROM (
                SELECT m.created_at, m.conversation_id, m.position, m.role
                FROM {schema}.messages AS m
                WHERE m.user_id = me
                  AND (in_conversation IS NULL OR m.conversation_id = in_conversation)
                  AND {schema}.hansard_words(language, m.content) @@ words
                  AND (phrases = '{{}}' OR lower({searched}) ~ ALL (phrases))
                  AND NOT (substrings AND {searched} ILIKE ANY (not_patterns))
                UNION ALL
                SELECT m.created_at, m.conversation_id, m.position, m.role
                FROM {schema}.messages AS m
                WHERE m.user_id = me
                  AND (in_conversation IS NULL OR m.conversation_id = in_conversation)
                  AND substrings
                  AND {searched} ILIKE longest
                  AND {searched} ILIKE ALL (array_remove(patterns, longest))
                  AND NOT {searched} ILIKE ANY (not_patterns)
                  AND (not_words IS NULL OR NOT {schema}.hansard_words(language, m.content) @@ not_words)
                OFFSET 0
            ) AS f
            WHERE (by_role IS NULL OR f.role = by_role)
              AND (since IS NULL OR f.created_at >= since)
              AND (until IS NULL OR f.created_at < until)
              AND (is_archived IS NULL OR f.conversation_id IN (
                  SELECT c.id FROM {schema}.conversations AS c
                  WHERE c.user_id = me AND is_archived = (c.archived_at IS NOT NULL)))
            ORDER BY f.created_at DESC, f.conversation_id DESC, f.position DESC
            LIMIT 4000
        ) AS n
        ORDER BY n.created_at DESC, n.conversation_id DESC, n.position DESC
        LIMIT 2000
    ), ranked AS (
        SELECT m.conversation_id, m.position, m.kind, m.role, m.public_id, m.created_at, m.content,
                {schema}.hansard_rank(
                    lower(CASE WHEN octet_length(m.content) <= 4000 THEN m.content ELSE left(m.content, 4000) END),
                    marks) AS rank
        FROM newest AS n
        JOIN {schema}.messages AS m
          ON m.user_id = me AND m.conversation_id = n.conversation_id AND m.position = n.position
    ), listed AS (
        SELECT * FROM ranked AS r
        WHERE place_rank IS NULL
           OR (r.rank, r.created_at, r.conversation_id, r.position)
              < (place_rank, place_time, place_conversation, place_position)
        ORDER BY r.rank DESC, r.created_at DESC, r.conversation_id DESC, r.position DESC
        LIMIT page
    )
    SELECT l.rank, l.created_at, l.conversation_id, l.position, l.kind, l.role, l.public_id, c.title,
           substr(l.content, f.start, 2000), f.start > 1, length(l.content) >= f.start + 2000, stems
    FROM listed AS l
    JOIN {schema}.conversations AS c ON c.user_id = me AND c.id = l.conversation_id,
    LATERAL (
        SELECT greatest(1, coalesce(min(nullif(strpos(beginning, mark), 0)), 1) - 400) AS start
        FROM (SELECT lower(left(l.content, 200000))) AS b(beginning), unnest(marks) AS mark
    ) AS f
    ORDER BY l.rank DESC, l.created_at DESC, l.conversation_id DESC, l.position DESC;
END
$function$
""".replace("{searched}", SEARCHED)


HELPERS = (
    "hansard_phrase(text)",
    "hansard_rank(text, text[])",
    "hansard_term(regconfig, text)",
    "hansard_words(regconfig, text)",
)


def upgrade() -> None:
    if not on_postgres():
        return
    connection = op.get_bind()
    make(connection, connection.execute(text("SELECT current_schema()")).scalar_one())


def make(connection: Connection, schema: str) -> None:
    """Make the functions; the helpers, on which an index may depend, are replaced where they stand."""
    for function in (WORDS, TERM, PHRASE, RANK, SEARCH):
        execute(connection, function, texts={"separators": SEPARATORS}, schema=schema)
    execute(connection, f"REVOKE ALL ON FUNCTION {search_postgres.FUNCTION} FROM PUBLIC")
    execute(connection, f"GRANT EXECUTE ON FUNCTION {search_postgres.FUNCTION} TO {{role}}", role=runtime_role())


def downgrade() -> None:
    connection = op.get_bind()
    if not on_postgres():
        search_sqlite.remove(connection)
        return
    search_postgres.remove(connection)
    execute(connection, f"DROP FUNCTION {search_postgres.FUNCTION}")
    for helper in HELPERS:
        execute(connection, f"DROP FUNCTION {helper}")
