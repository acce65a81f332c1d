"""Migrations lead to exactly the tables that the models describe, and back."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from hansard.database import migrations
from hansard.models import metadata
from tests.plugins.stores import KINDS
from tests.support.observers import Observer, PostgresObserver, SqliteObserver
from tests.support.schema import policies_of, schema_of

SCRIPTS = Path(migrations.__file__).parent / "alembic"
REVISIONS = [script.revision for script in reversed(list(ScriptDirectory(str(SCRIPTS)).walk_revisions()))]
OURS = sorted(set(metadata.tables) - {"user", "task"})


@pytest.fixture(params=KINDS)
def empty_url(request, tmp_path) -> Iterator[Callable[[], str]]:
    """Make empty databases of one kind."""
    made: list[str] = []
    server = request.getfixturevalue("pg_server") if request.param == "postgresql" else None

    def make() -> str:
        made.append(server.clone() if server else f"sqlite:///{tmp_path / str(len(made))}.db")
        return made[-1]

    yield make
    for url in made:
        if server:
            server.assert_unused(url)
            server.drop(url)


@pytest.fixture
def url(empty_url: Callable[[], str]) -> str:
    return empty_url()


def look(url: str) -> closing[Observer]:
    path = url.removeprefix("sqlite:///")
    return closing(PostgresObserver(url) if path == url else SqliteObserver(Path(path)))


def schema_at(url: str) -> list[str]:
    with look(url) as observer:
        return schema_of(observer) + policies_of(observer)


def execute(url: str, *statements: str) -> None:
    with look(url) as observer:
        for statement in statements:
            observer.execute(statement)


def made_from_models(url: str) -> list[str]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    metadata.create_all(engine)
    engine.dispose()
    with look(url) as observer:
        return schema_of(observer)


def test_an_empty_database_becomes_what_the_models_describe(empty_url):
    url = empty_url()
    migrations.upgrade(url)
    with look(url) as observer:
        migrated = schema_of(observer)
    assert migrated == made_from_models(empty_url())


def test_check_finds_nothing_at_the_head(url):
    migrations.upgrade(url)
    assert migrations.check(url) == []


@pytest.mark.parametrize(
    "damage, names",
    [
        ("DROP INDEX ix_conversations_active", "ix_conversations_active"),
        ("ALTER TABLE messages ADD COLUMN stranger INTEGER", "stranger"),
        ("DROP TABLE messages", "messages"),
    ],
)
def test_check_names_what_differs(url, damage, names):
    migrations.upgrade(url)
    execute(url, damage)
    assert names in " ".join(migrations.check(url))


def test_check_leaves_other_peoples_tables_alone(url):
    migrations.upgrade(url)
    execute(url, "CREATE TABLE session (id INTEGER)", 'ALTER TABLE "user" ADD COLUMN image VARCHAR')
    assert migrations.check(url) == []


def test_a_database_tells_where_it_stands(url):
    assert migrations.current(url) is None
    for revision in REVISIONS:
        migrations.upgrade(url, revision)
        assert migrations.current(url) == revision
    assert migrations.current(url) == migrations.head()


def test_upgrading_again_changes_nothing(url):
    migrations.upgrade(url)
    before = schema_at(url)
    migrations.upgrade(url)
    assert schema_at(url) == before


@pytest.mark.parametrize("step", range(1, len(REVISIONS)), ids=REVISIONS[1:])
def test_every_step_back_undoes_its_step_forward(url, step):
    migrations.upgrade(url, REVISIONS[step - 1])
    before = schema_at(url)
    migrations.upgrade(url, REVISIONS[step])
    migrations.downgrade(url, REVISIONS[step - 1])
    assert schema_at(url) == before
    assert migrations.current(url) == REVISIONS[step - 1]


def test_the_way_back_leaves_the_tables_of_phase_2_with_their_rows_and_nothing_of_ours(url):
    migrations.upgrade(url)
    now = "'2026-01-01 00:00:00.000000'"
    execute(
        url,
        f"INSERT INTO \"user\" (id, created_at) VALUES ('u', {now})",
        f"INSERT INTO task (user_id, title, completed, created_at, updated_at) VALUES ('u', 'x', false, {now}, {now})",
    )
    migrations.downgrade(url, "base")
    with look(url) as observer:
        assert {line.split(" | ")[0].strip('"') for line in schema_of(observer)} == {"user", "task"}
        assert policies_of(observer) == []
        rows = observer.execute('SELECT task.title, "user".id FROM task JOIN "user" ON user_id = "user".id')
    assert rows == [("x", "u")]
    assert migrations.current(url) is None


def test_the_way_forward_is_open_again_after_the_way_back(url):
    migrations.upgrade(url)
    before = schema_at(url)
    migrations.downgrade(url, "base")
    migrations.upgrade(url)
    assert schema_at(url) == before
    assert migrations.check(url) == []


@pytest.mark.parametrize("table", OURS)
def test_every_table_of_ours_is_kept_apart_by_the_database_itself(pg_server, pg_empty_url, table):
    migrations.upgrade(pg_empty_url)
    forced = "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = ?"
    with look(pg_empty_url) as observer:
        assert observer.execute(forced, table) == [(True, True)]
        assert any(line.startswith(f"{table} |") for line in policies_of(observer))
