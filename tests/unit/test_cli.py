"""The command line does what its reference says, and tells what is wrong in one line."""

import contextlib
import gc
import re
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import pytest
import typer
from fastapi import FastAPI
from typer.testing import CliRunner

from hansard.cli import run as run_program
from hansard.cli import worker
from hansard.cli.keys import read_ttl
from hansard.cli.main import app
from hansard.cli.serve import is_loopback
from hansard.config import Settings, environment_name
from hansard.database import migrations
from hansard.errors import InvalidInput

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
SECRET = "a-secret-of-more-than-thirty-two-bytes-for-tests"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no settings."""
    monkeypatch.chdir(tmp_path)
    for field in Settings.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    """What a command printed, on whichever stream its exit code promises."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, (result.output, result.exception)
    return result.stderr if code else result.stdout


def commands() -> Iterator[tuple[str, set[str]]]:
    """Every command, with the names of its options and arguments."""

    def walk(name: str, command: object) -> Iterator[tuple[str, set[str]]]:
        children = getattr(command, "commands", None)
        if children is None:
            params = getattr(command, "params", [])
            yield (
                name,
                {
                    param.opts[0] if param.param_type_name == "option" else param.name.upper()
                    for param in params
                    if param.name != "help"
                },
            )
            return
        for child_name, child in children.items():
            yield from walk(f"{name} {child_name}", child)

    yield from walk("hansard", typer.main.get_command(app))


def test_every_command_is_documented_with_its_options():
    sections = re.split(r"^## ", REFERENCE.read_text(), flags=re.MULTILINE)[1:]
    documented = {
        section.partition("\n")[0]: set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)) for section in sections
    }
    assert documented == dict(commands())


def test_the_version_is_printed():
    assert re.fullmatch(r"hansard \d+\.\d+\.\d+\S*\n", run("--version"))


def test_a_database_is_upgraded_checked_and_undone(folder: Path):
    assert run("db", "current").startswith("no revision")
    assert "hansard db upgrade" in run("db", "check", code=1)
    assert run("db", "upgrade") == run("db", "current") == f"{migrations.head()} (newest)\n"
    assert "is what this release expects" in run("db", "check")
    assert run("db", "downgrade", "base").startswith("no revision")
    assert (folder / "hansard.db").exists()


@pytest.mark.parametrize("command", ["upgrade", "downgrade"])
@pytest.mark.parametrize("revision", ["nothing", "9999", "0002:0001"])
def test_a_revision_that_there_is_not_is_told_in_one_line(command: str, revision: str):
    run("db", "upgrade")
    message = run("db", command, revision, code=1)
    assert message.startswith("hansard: ")
    assert message.count("\n") == 1
    assert revision in message
    assert run("db", "current") == f"{migrations.head()} (newest)\n"


@pytest.mark.parametrize("wanted", ["off", "words", "words+substring"])
def test_a_database_that_was_never_migrated_has_no_search_to_change(
    folder: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
):
    (folder / "hansard.db").touch(mode=0o600)
    monkeypatch.setenv("HANSARD_SEARCH", wanted)
    assert run("db", "search", code=1) == "hansard: the database has no search yet; run: hansard db upgrade\n"


@pytest.mark.parametrize("arguments", [("upgrade",), ("downgrade", "base")])
def test_a_database_of_a_newer_release_is_told_in_one_line(folder: Path, arguments: tuple[str, ...]):
    run("db", "upgrade")
    with contextlib.closing(sqlite3.connect(folder / "hansard.db")) as database, database:
        database.execute("UPDATE hansard_version SET version_num = '9999'")
    message = run("db", *arguments, code=1)
    assert message.startswith("hansard: ")
    assert message.count("\n") == 1
    assert "9999" in message


def test_a_token_is_signed_with_the_secret(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    claims = jwt.decode(run("token", "ann", "--ttl", "2h").strip(), SECRET, algorithms=["HS256"])
    assert claims["sub"] == "ann"
    assert claims["exp"] - claims["iat"] == 7200


def test_without_a_secret_there_is_one_user():
    assert run("token") != ""
    assert run("token", "local") != ""
    assert "one user only: local" in run("token", "ann", code=1)


def test_a_key_for_a_server_that_is_not_here_is_told(folder: Path):
    result = CliRunner().invoke(app, ["token"])
    assert str(folder / "hansard.db") in result.stderr
    assert result.stdout.count("\n") == 1
    (folder / "hansard.db").touch()
    assert CliRunner().invoke(app, ["token"]).stderr == ""


def test_the_library_alone_says_what_the_command_line_needs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "hansard.cli.main")
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit, match="the extra 'server'"):
        run_program()


def test_a_login_url_carries_its_code_in_the_fragment(folder: Path):
    url = urlsplit(run("login-url", "--port", "8123").strip())
    assert (url.scheme, url.netloc, url.path, url.query) == ("http", "127.0.0.1:8123", "/", "")
    assert url.fragment.startswith("code=")
    assert (folder / "hansard.db.secret").exists()
    assert run("login-url", "--host", "::1").startswith("http://[::1]:8000/#code=")


def test_a_login_url_is_for_the_embedded_mode(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    assert "embedded" in run("login-url", code=1)


@pytest.mark.parametrize(
    "environment, arguments, advice",
    [
        ({}, ["--host", "0.0.0.0"], "set JWT_SECRET_KEY"),
        ({}, ["--host", "example.com"], "set JWT_SECRET_KEY"),
        # Whoever asked it there would be refused under each of its names.
        ({}, ["--host", "127.0.0.2", "--port", "0"], "under 127.0.0.1, ::1, localhost"),
        ({"JWT_SECRET_KEY": SECRET}, ["--host", "", "--port", "0"], "--host"),
        ({"HANSARD_JWKS_URL": "https://[hidden/", "HANSARD_JWT_ISSUER": "i", "HANSARD_JWT_AUDIENCE": "a"}, [], "JWKS"),
        (
            {"HANSARD_METRICS_TOKEN": SECRET, "PROMETHEUS_MULTIPROC_DIR": "nowhere"},
            ["--port", "0"],
            "PROMETHEUS_MULTIPROC_DIR",
        ),
        ({}, ["--workers", "2"], "PostgreSQL"),
        ({"JWT_SECRET_KEY": SECRET}, ["--workers", "2"], "PostgreSQL"),
        ({"JWT_SECRET_KEY": "short"}, [], "32"),
        ({"JWT_ALGORITHM": "none"}, [], "JWT_ALGORITHM"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, [], "set JWT_SECRET_KEY"),
        ({"DATABASE_URL": "mysql://x/y", "JWT_SECRET_KEY": SECRET}, [], "sqlite"),
        ({"DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/x?connect_timeout=1", "JWT_SECRET_KEY": SECRET}, [], ""),
    ],
)
def test_a_server_that_cannot_work_does_not_start(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], arguments: list[str], advice: str
):
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("it started"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    message = run("serve", *arguments, code=1)
    assert message.startswith("hansard: ")
    assert message.count("\n") == 1
    assert advice in message
    assert "hidden" not in message


@pytest.mark.parametrize(
    "environment, missing, advice",
    [
        ({"HANSARD_TRACING": "true"}, "tracing", "hansard[otel]"),
        ({"HANSARD_METRICS_TOKEN": SECRET}, "metrics", "hansard[metrics]"),
    ],
)
def test_what_only_a_worker_would_miss_keeps_a_server_from_starting(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], missing: str, advice: str
):
    monkeypatch.setitem(sys.modules, f"hansard.api.{missing}", None)
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("it started"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert advice in run("serve", "--port", "0", code=1)


def test_a_port_that_is_taken_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        message = run("serve", "--port", str(taken.getsockname()[1]), code=1)
    assert "is taken; choose another with --port" in message
    assert message.count("\n") == 1


def test_what_a_driver_says_in_lines_is_told_in_sentences(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    told = run("db", "current", code=1)
    assert told.count("\n") == 1
    assert "failed: Connection refused; Is the server running" in told


def test_wrong_usage_is_exit_code_two():
    for arguments in (["serve", "--port", "70000"], ["serve", "--workers", "0"], ["nothing"], ["db", "downgrade"]):
        run(*arguments, code=2)


@pytest.mark.parametrize("text, seconds", [("1s", 1), ("90s", 90), ("5m", 300), ("12h", 43200), ("30d", 2592000)])
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int):
    assert read_ttl(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "0s", "5", "d", "-1h", "1.5h", "1w", "4000d", "999999999999d", "٣d", "1h "])
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(InvalidInput, match="--ttl"):
        read_ttl(text)


def test_loopback_is_told_from_the_rest():
    assert all(map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.0.1", "example.com", "localhost.example.com", ""]))


def test_what_a_worker_begins_with_is_not_gone_through_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "create_app", FastAPI)
    try:
        worker.create()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
