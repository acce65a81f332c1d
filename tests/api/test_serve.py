"""`hansard serve` starts a real process, survives being killed, and gives no secret to a captured output."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

from hansard.config import Settings, environment_name
from tests.plugins.stores import TEMPLATE, make_ready
from tests.support.calls import get, post

HANSARD = str(Path(sys.executable).with_name("hansard"))
SECRET = "a-secret-of-more-than-thirty-two-bytes-for-tests"


def environment(**settings: str) -> dict[str, str]:
    """The environment of the tests with these settings and no others."""
    ours = {environment_name(field) for field in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in ours} | settings


@dataclass
class Process:
    """A running server: its address, and all it printed before it answered."""

    popen: subprocess.Popen[str]
    url: str
    greeting: str


@contextmanager
def serve(folder: Path, *arguments: str, **settings: str) -> Iterator[Process]:
    """Run `hansard serve` on a free port; it is killed with -9 unless it has ended."""
    # Its log goes to a file: a pipe that nobody reads would stop the server one day.
    with (folder / "log").open("a") as log:
        popen = subprocess.Popen(
            [HANSARD, "serve", "--port", "0", *arguments],
            cwd=folder,
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert popen.stdout is not None
    try:
        first = popen.stdout.readline()
        url = first.split()[-1]
        greeting = first if "JWT_SECRET_KEY" in settings else first + "".join(popen.stdout.readline() for _ in "12")
        assert get(f"{url}/readyz").status_code == 200
        yield Process(popen, url, greeting)
    finally:
        popen.kill()
        popen.wait()
        popen.stdout.close()


def command(folder: Path, *arguments: str, **settings: str) -> str:
    env = environment(**settings)
    return subprocess.check_output([HANSARD, *arguments], cwd=folder, env=env, text=True).strip()


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path):
    with serve(tmp_path) as process:
        key = command(tmp_path, "token")
        with openai.OpenAI(base_url=f"{process.url}/v1", api_key=key, max_retries=0) as sdk:
            made = sdk.conversations.create(items=[{"role": "user", "content": "Buy milk"}])
            for number in range(30):
                sdk.conversations.items.create(made.id, items=[{"role": "user", "content": f"{number} 😀\x00"}])
            before = get(f"{process.url}/v1/conversations/{made.id}/items?limit=100", headers=bearer(key)).content
        process.popen.send_signal(signal.SIGKILL)
        assert process.popen.wait() == -signal.SIGKILL
    with serve(tmp_path) as process:
        after = get(f"{process.url}/v1/conversations/{made.id}/items?limit=100", headers=bearer(key)).content
        assert after == before
        assert len(json.loads(after)["data"]) == 31


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_the_printed_url_signs_in_once_and_the_key_is_not_printed(tmp_path: Path):
    with serve(tmp_path) as process:
        key = command(tmp_path, "token")
        assert re.search(r"^Hansard listens on http://127\.0\.0\.1:\d+$", process.greeting, re.MULTILINE)
        found = re.search(r"(http://\S+)/#code=(\S+)$", process.greeting, re.MULTILINE)
        assert found is not None
        assert found[1] == process.url
        statuses = [post(f"{process.url}/auth/session", json={"code": found[2]}).status_code for _ in "12"]
        assert statuses == [200, 401]
        another = command(tmp_path, "login-url", "--port", process.url.rpartition(":")[2])
        address, _, code = another.partition("/#code=")
        assert post(f"{address}/auth/session", json={"code": code}).status_code == 200
        log = (tmp_path / "log").read_text()
    # No two keys are alike but for how they begin.
    for secret in (key.partition(".")[0], (tmp_path / "hansard.db.secret").read_text()):
        assert secret not in process.greeting
        assert secret not in log
    assert found[2] not in log
    assert code not in log


def test_the_log_is_json_and_the_server_does_not_name_itself(tmp_path: Path):
    with serve(tmp_path) as process:
        answer = get(f"{process.url}/v1/conversations?secret=1")
        assert "server" not in answer.headers
        process.popen.send_signal(signal.SIGTERM)
        process.popen.wait()
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert answer.headers["x-request-id"] in {line.get("request_id") for line in lines}
    assert [line["message"].partition(" [")[0] for line in lines[-2:]] == [
        "Application shutdown complete.", "Finished server process"
    ]  # fmt: skip
    assert "secret=1" not in (tmp_path / "log").read_text()


def test_a_server_database_is_upgraded_only_when_told(tmp_path: Path, request: pytest.FixtureRequest):
    server = request.getfixturevalue("pg_server")
    url = server.clone()
    settings = {"DATABASE_URL": url, "JWT_SECRET_KEY": SECRET}
    refused = subprocess.run(
        [HANSARD, "serve"], cwd=tmp_path, env=environment(**settings), capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "run: hansard db upgrade" in refused.stderr
    assert refused.stderr.count("\n") == 1
    with serve(tmp_path, "--migrate", **settings) as process:
        assert "login" not in process.greeting
        assert get(f"{process.url}/v1/conversations").status_code == 401
    with serve(tmp_path, "--workers", "2", HANSARD_METRICS_TOKEN=SECRET, **settings) as process:
        key = command(tmp_path, "token", "ann", **settings)
        made = [post(f"{process.url}/v1/conversations", headers=bearer(key)).json()["id"] for _ in range(4)]
        listed = get(f"{process.url}/v1/conversations", headers=bearer(key)).json()["data"]
        assert [conversation["id"] for conversation in listed] == made[::-1]
        # Whichever worker is asked, it knows what all have counted.
        counted = 'hansard_http_requests_total{method="POST",route="/v1/conversations",status="200"} 4.0'
        for _ in range(4):
            assert counted in get(f"{process.url}/metrics", headers=bearer(SECRET)).text.splitlines()
        # In good order: killed, the parent would leave its workers behind.
        process.popen.terminate()
        process.popen.wait()
    server.drop(url)


def test_a_runtime_role_that_is_not_there_is_told_before_anybody_is_served(
    tmp_path: Path, request: pytest.FixtureRequest
):
    server = request.getfixturevalue("pg_server")
    server.make_template(TEMPLATE, make_ready)
    url = server.clone(TEMPLATE)
    settings = {"DATABASE_URL": url, "JWT_SECRET_KEY": SECRET, "HANSARD_DATABASE_ROLE": "nobody_of_ours"}
    arguments = [HANSARD, "serve", "--port", "0"]
    refused = subprocess.run(
        arguments, cwd=tmp_path, env=environment(**settings), capture_output=True, text=True, check=False, timeout=60
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "runtime role" in refused.stderr
    assert "run: hansard db upgrade" in refused.stderr
    server.drop(url)


def test_workers_that_could_not_start_are_not_started(tmp_path: Path, request: pytest.FixtureRequest):
    server = request.getfixturevalue("pg_server")
    server.make_template(TEMPLATE, make_ready)
    direct = server.clone(TEMPLATE)
    settings = {
        "DATABASE_URL": "postgresql://ann@x-pooler.invalid/db",
        "DATABASE_URL_DIRECT": direct,
        "HANSARD_DATABASE_PREPARE": "true",
        "JWT_SECRET_KEY": SECRET,
    }
    arguments = [HANSARD, "serve", "--port", "0", "--workers", "2"]
    popen = subprocess.Popen(
        arguments, cwd=tmp_path, env=environment(**settings), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        _, told = popen.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
    assert (popen.returncode, told.count("\n")) == (1, 1)
    assert "a direct connection" in told
    server.drop(direct)


def test_the_key_is_printed_to_a_person_at_a_terminal(tmp_path: Path):
    ours, theirs = pty.openpty()
    arguments = [HANSARD, "serve", "--port", "0"]
    process = subprocess.Popen(arguments, cwd=tmp_path, env=environment(), stdout=theirs, stderr=subprocess.DEVNULL)
    try:
        with os.fdopen(os.dup(ours)) as terminal:
            address, _, key = (terminal.readline().split()[-1] for _ in range(3))
        assert get(f"{address}/v1/conversations", headers=bearer(key)).status_code == 200
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
