"""The doctor finds what is wrong with a live database, grades it, and gives advice that helps."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from typer.testing import CliRunner, Result

from hansard.cli.main import app
from hansard.config import Settings, environment_name
from hansard.database import migrations, search_index
from hansard.database.doctor import Finding, Grade, examine, worst
from hansard.models.search import SearchSettings
from hansard.utils.clock import utc_now
from tests.support.logins import Login
from tests.support.pg_server import PostgresServer, running_postgres
from tests.support.renumbering import renumbered

SECRET = "a-secret-of-more-than-thirty-two-bytes-for-tests"
ROLE = migrations.DEFAULT_ROLE


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server with PostgreSQL's own, durable settings."""
    with running_postgres(durable=True) as server:
        server.make_template("migrated", prepare)
        yield server


def prepare(url: str) -> None:
    """Bring a database to what `hansard db upgrade` makes of it."""
    migrations.upgrade(url)
    assert search_index.apply(url, SearchSettings()) == []


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    """The superuser's URL of a migrated database."""
    url = server.clone("migrated")
    yield url
    server.assert_unused(url)
    server.drop(url)


@pytest.fixture
def login(server: PostgresServer) -> Login:
    """A login as the service should have: it owns nothing and may act as the runtime role."""
    login = Login(server)
    login.acts_as(ROLE)
    return login


@pytest.fixture
def service_url(login: Login, url: str) -> str:
    return login.url(url)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A migrated SQLite file."""
    path = tmp_path / "hansard.db"
    migrations.upgrade(f"sqlite:///{path}")
    return path


def problems(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.grade is not Grade.OK]


def problem(findings: list[Finding]) -> Finding:
    """Return the one thing that is not as it should be."""
    [found] = problems(findings)
    assert found.advice
    assert "\n" not in found.advice
    return found


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


class TestAServer:
    def test_that_is_as_it_should_be_has_no_problem(self, service_url):
        found = examine(service_url)
        assert problems(found) == []
        assert worst(found) == 0
        assert {finding.check for finding in found} >= {
            "version",
            "encoding",
            "durability",
            "clock",
            "pooler",
            "login",
            "runtime role",
            "isolation",
            "migrations",
        }

    @pytest.mark.parametrize(
        "production, grade", [(True, Grade.FAILURE), (False, Grade.WARNING)], ids=["production", "development"]
    )
    @pytest.mark.parametrize("attributes", ["SUPERUSER", "BYPASSRLS"])
    def test_reports_a_login_that_row_level_security_does_not_bind(self, server, url, attributes, production, grade):
        login = Login(server, attributes=attributes)
        login.acts_as(ROLE)
        found = problem(examine(login.url(url), production=production))
        assert (found.check, found.grade) == ("login", grade)

    def test_tells_how_to_make_a_login_that_is_bound_and_that_one_is_enough(self, url):
        found = problem(examine(url))
        statements = re.sub(r".*who may less: ", "", str(found.advice)).replace("…", "secret")
        execute(url, *filter(None, statements.split(";")))
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        service = f"postgresql://hansard_service:secret@{host}{parts.path}"
        try:
            assert problems(examine(service)) == []
        finally:
            execute(url, "DROP OWNED BY hansard_service", "DROP ROLE hansard_service")

    def test_reports_a_login_that_may_not_act_as_the_runtime_role(self, server, url):
        found = problem(examine(Login(server).url(url)))
        assert found.check == "runtime role"
        execute(url, str(found.advice).partition(": ")[2])

    def test_reports_a_role_that_is_not_there(self, service_url):
        found = problems(examine(service_url, role="nobody_of_ours"))
        assert {finding.check for finding in found} == {"runtime role", "isolation", "search"}

    @pytest.mark.parametrize("attribute", ["LOGIN", "SUPERUSER", "BYPASSRLS"])
    def test_reports_a_runtime_role_that_would_not_be_bound(self, url, service_url, attribute):
        execute(url, f"ALTER ROLE {ROLE} {attribute}")
        try:
            found = next(finding for finding in problems(examine(service_url)) if finding.check == "runtime role")
            assert found.grade is Grade.FAILURE
            assert "ALTER ROLE" in str(found.advice)
        finally:
            execute(url, f"ALTER ROLE {ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS")

    @pytest.mark.parametrize(
        "damage",
        [
            "ALTER TABLE messages DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE conversations NO FORCE ROW LEVEL SECURITY",
            "DROP POLICY hansard_own_rows ON conversations",
            "ALTER POLICY hansard_own_rows ON messages USING (true)",
            "CREATE POLICY support ON messages FOR SELECT USING (true)",
            f"REVOKE UPDATE, DELETE ON conversations FROM {ROLE}",
            "GRANT TRUNCATE ON messages TO PUBLIC",
            "DROP POLICY hansard_own_rows ON task",
            "DROP POLICY hansard_access ON task",
            "ALTER TABLE task DISABLE ROW LEVEL SECURITY",
            f"REVOKE USAGE ON SEQUENCE task_id_seq FROM {ROLE}",
            f'REVOKE INSERT (email) ON "user" FROM {ROLE}',
            "ALTER FUNCTION hansard_append SECURITY DEFINER",
            f"REVOKE EXECUTE ON FUNCTION hansard_append_all FROM {ROLE}",
            "GRANT EXECUTE ON FUNCTION hansard_append TO PUBLIC",
        ],
    )
    def test_reports_whatever_no_longer_keeps_users_apart_and_how_to_mend_it(self, url, service_url, damage):
        execute(url, damage)
        found = problem(examine(service_url))
        assert (found.check, found.grade) == ("isolation", Grade.FAILURE)
        execute(url, *filter(None, str(found.advice).removeprefix("run as the owner: ").split(";")))
        assert problems(examine(service_url)) == []

    def test_reports_a_function_that_is_gone(self, url, service_url):
        execute(url, "DROP FUNCTION hansard_append")
        found = problem(examine(service_url))
        assert (found.check, found.grade) == ("isolation", Grade.FAILURE)
        assert "hansard_append: the function is missing" in found.told
        assert "backup" in str(found.advice)

    @pytest.mark.parametrize("setting", ["synchronous_commit"])
    def test_reports_settings_by_which_acknowledged_rows_can_be_lost(self, url, login, service_url, setting):
        execute(url, f"ALTER DATABASE {urlsplit(url).path[1:]} SET {setting} = off")
        found = problem(examine(service_url))
        assert (found.check, found.grade) == ("durability", Grade.FAILURE)
        assert setting in found.told

    def test_reports_a_server_that_does_not_wait_for_its_disk(self, pg_server):
        url = pg_server.clone()
        told = [finding.told for finding in examine(url) if finding.check == "durability"]
        assert [line.split()[0] for line in told] == ["fsync", "full_page_writes", "synchronous_commit"]
        pg_server.drop(url)

    def test_reports_a_database_that_takes_no_writes(self, url, service_url):
        execute(url, f"ALTER DATABASE {urlsplit(url).path[1:]} SET default_transaction_read_only = on")
        assert problem(examine(service_url)).check == "writes"

    def test_reports_a_setting_that_makes_every_connection_somebodys(self, url, service_url):
        execute(url, f"ALTER DATABASE {urlsplit(url).path[1:]} SET hansard.user_id = 'ada'")
        assert problem(examine(service_url)).check == "session"

    def test_reports_an_encoding_that_cannot_hold_every_character(self, server):
        execute(server.url(), "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        found = next(finding for finding in examine(server.url("latin")) if finding.check == "encoding")
        assert found.grade is Grade.FAILURE
        execute(server.url(), "DROP DATABASE latin")

    @pytest.mark.parametrize(
        "ahead, grade",
        [(-3600, Grade.FAILURE), (-20, Grade.WARNING), (0, Grade.OK), (20, Grade.WARNING), (3600, Grade.FAILURE)],
    )
    def test_reports_a_clock_that_goes_wrong(self, service_url, ahead, grade):
        found = examine(service_url, clock=lambda: utc_now() + timedelta(seconds=ahead))
        assert [finding.grade for finding in found if finding.check == "clock"] == [grade]

    def test_reports_a_database_that_was_never_migrated(self, server):
        url = server.clone()
        found = next(finding for finding in examine(url) if finding.check == "migrations")
        assert (found.grade, found.advice) == (Grade.FAILURE, "run: hansard db upgrade")
        server.drop(url)

    def test_reports_an_older_and_a_newer_schema(self, url, service_url):
        execute(url, "UPDATE hansard_version SET version_num = '0003'")
        assert problem(examine(service_url)).advice == "run: hansard db upgrade"
        execute(url, "UPDATE hansard_version SET version_num = '9999'")
        assert "release" in str(problem(examine(service_url)).advice)

    def test_reports_tables_that_somebody_altered(self, url, service_url):
        execute(url, "DROP INDEX ix_conversations_active")
        found = problem(examine(service_url))
        assert (found.check, found.grade) == ("tables", Grade.FAILURE)
        assert "ix_conversations_active" in found.told

    def test_reports_searches_that_have_no_index(self, url, service_url):
        execute(url, "DROP INDEX ix_messages_search_words_simple", "ALTER FUNCTION hansard_search SECURITY INVOKER")
        found = problem(examine(service_url))
        assert (found.check, found.grade) == ("search", Grade.WARNING)
        assert f"{ROLE}_search" in found.told
        assert "ix_messages_search_words_simple" in found.told
        assert "hansard db search" in str(found.advice)
        assert problems(examine(service_url, search=SearchSettings("off"))) == []
        assert search_index.apply(url, SearchSettings()) == []
        assert problems(examine(service_url)) == []

    def test_reports_columns_that_keep_us_from_making_users(self, url, service_url):
        execute(url, 'ALTER TABLE "user" ADD COLUMN "emailVerified" boolean NOT NULL')
        found = problem(examine(service_url))
        assert (found.check, found.grade) == ("users", Grade.WARNING)
        assert "emailVerified" in found.told

    def test_that_does_not_answer_is_a_finding_without_a_password(self, server):
        url = server.url("missing")
        found = problem(examine(url))
        assert (found.check, found.grade) == ("connection", Grade.FAILURE)
        assert str(urlsplit(url).password) not in str(found)


class TestAPooler:
    """A proxy hands out process numbers of its own, as poolers do."""

    @pytest.fixture
    def pooled(self, service_url: str) -> Iterator[str]:
        with renumbered(service_url) as url:
            yield url

    def test_is_noticed(self, pooled):
        found = problem(examine(pooled))
        assert (found.check, found.grade) == ("pooler", Grade.WARNING)
        assert "DATABASE_URL_DIRECT" in str(found.advice)

    def test_is_no_problem_where_migrations_have_a_way_around(self, pooled):
        found = examine(pooled, direct=True)
        assert problems(found) == []
        assert [finding.told for finding in found if finding.check == "pooler"] == [
            "a pooler stands in between; migrations have a URL of their own"
        ]


class TestAFile:
    def test_that_is_as_it_should_be_has_no_problem(self, file):
        found = examine(f"sqlite:///{file}")
        assert problems(found) == []
        assert {finding.check for finding in found} >= {
            "version",
            "permissions",
            "journal",
            "connections",
            "encoding",
            "integrity",
            "references",
            "migrations",
        }

    def test_that_is_not_there_is_a_finding_and_is_not_made(self, tmp_path):
        path = tmp_path / "missing.db"
        assert problem(examine(f"sqlite:///{path}")).grade is Grade.FAILURE
        assert not path.exists()

    def test_that_others_may_read_is_reported(self, file):
        file.chmod(0o644)
        found = problem(examine(f"sqlite:///{file}"))
        assert (found.check, found.grade) == ("permissions", Grade.WARNING)
        assert found.advice == f"run: chmod 600 {file}"

    def test_that_is_damaged_is_reported(self, file):
        page = file.stat().st_size // 2 // 4096 * 4096
        with file.open("r+b") as content:
            content.seek(page)
            content.write(b"\xff" * 4096)
        found = problems(examine(f"sqlite:///{file}"))
        assert worst(found) is Grade.FAILURE
        assert {"integrity", "connection"} & {finding.check for finding in found}

    def test_that_is_no_database_is_reported(self, tmp_path):
        path = tmp_path / "x.db"
        path.write_text("not a database, whatever its name is" * 100)
        path.chmod(0o600)
        assert "not a database" in problem(examine(f"sqlite:///{path}")).told

    def test_with_rows_that_lost_their_user_is_reported(self, file):
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(
                "INSERT INTO task (user_id, title, completed, created_at, updated_at) VALUES ('gone', 'x', 0, '', '')"
            )
            connection.commit()
        found = problem(examine(f"sqlite:///{file}"))
        assert (found.check, found.grade) == ("references", Grade.WARNING)
        assert "task" in found.told

    def test_in_utf_16_is_reported(self, tmp_path):
        path = tmp_path / "x.db"
        path.touch(mode=0o600)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA encoding = 'UTF-16'")
            connection.execute("CREATE TABLE session (id VARCHAR)")
        migrations.upgrade(f"sqlite:///{path}")
        assert problem(examine(f"sqlite:///{path}")).check == "encoding"

    def test_that_was_never_migrated_is_reported(self, tmp_path):
        path = tmp_path / "x.db"
        path.touch(mode=0o600)
        assert problem(examine(f"sqlite:///{path}")).advice == "run: hansard db upgrade"


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def _no_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for field in Settings.model_fields:
            monkeypatch.delenv(environment_name(field), raising=False)

    @pytest.fixture
    def run(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
        def run(*arguments: str, url: str, **settings: str) -> Result:
            for name, value in {"DATABASE_URL": url, **settings}.items():
                monkeypatch.setenv(name, value)
            return CliRunner().invoke(app, ["doctor", *arguments])

        return run

    def test_exits_with_the_worst_grade(self, run, file):
        url = f"sqlite:///{file}"
        assert run(url=url).exit_code == 0
        file.chmod(0o644)
        assert run(url=url).exit_code == 1
        assert run(url=f"{url}.missing").exit_code == 2

    def test_prints_a_line_for_each_finding_and_one_of_advice_for_each_problem(self, run, file):
        file.chmod(0o644)
        lines = run(url=f"sqlite:///{file}").stdout.splitlines()
        marks = [line[:9].strip() for line in lines]
        assert marks.count("WARNING") == 1
        assert marks.count("") == 1
        assert lines[marks.index("WARNING") + 1].strip() == f"run: chmod 600 {file}"

    def test_prints_the_same_as_json(self, run, file):
        file.chmod(0o644)
        answer = json.loads(run("--json", url=f"sqlite:///{file}").stdout)
        assert answer["grade"] == "warning"
        assert [one for one in answer["findings"] if one["grade"] != "ok"] == [
            {
                "check": "permissions",
                "grade": "warning",
                "told": f"others may open {file}",
                "advice": f"run: chmod 600 {file}",
            }
        ]

    def test_fails_on_a_superuser_and_not_on_a_plain_login(self, run, url, service_url):
        assert run(url=url, JWT_SECRET_KEY=SECRET).exit_code == 2
        assert run(url=service_url, JWT_SECRET_KEY=SECRET).exit_code == 0

    def test_prints_no_password(self, run, url):
        assert str(urlsplit(url).password) not in run("--json", url=url).output
