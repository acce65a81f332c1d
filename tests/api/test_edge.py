"""Whatever arrives, the answer has the envelope, an id and safe headers, and the log holds no content."""

import gzip
import json
import logging
import socket
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from hansard.api.logs import JsonFormatter
from hansard.database import migrations
from hansard.database.dialects import postgres
from hansard.errors import ConfigurationError, ConversationLocked, DatabaseError, OutcomeUnknown, UnknownUser
from tests.api.live import LiveServer, Person, line_of, request_log, serving, settings_for
from tests.support.calls import get
from tests.support.logins import Login
from tests.support.pg_server import PostgresServer

LIMIT = 20 * 1024 * 1024 + 64 * 1024
CONTENT = "what-nobody-may-read"
JSON = {"content-type": "application/json"}


@pytest.fixture
def dan(sqlite_server: LiveServer) -> Person:
    return sqlite_server.newcomer()


def assert_error(answer: httpx.Response, status: int, code: str | None, *, retry: bool = False) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-should-retry"] == ("true" if retry else "false")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["code"] == code


def test_every_answer_has_an_id_of_its_own_and_safe_headers(dan: Person):
    answers = [dan.http.get(path) for path in ("/healthz", "/v1/conversations", "/nowhere")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3
    for answer in answers:
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_an_id_that_a_proxy_gave_is_kept_if_it_can_be_one(dan: Person):
    given = "01HZX-edge_7f3a"
    with request_log() as records:
        assert dan.http.get("/healthz", headers={"x-request-id": given}).headers["x-request-id"] == given
        line_of(records, request_id=given)
    for bad in ("short", "x" * 65, "two words", dan.key, "{request_id}"):
        assert dan.http.get("/healthz", headers={"x-request-id": bad}).headers["x-request-id"].startswith("req_")
    twice = dan.http.get("/healthz", headers=[("x-request-id", given), ("x-request-id", given)])
    assert twice.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/conversations/", "/docs", "/v1/nothing/%00", "/%F0%9F"])
def test_an_unknown_path_is_404_in_the_envelope(dan: Person, path: str):
    assert_error(dan.http.get(path), 404, "unknown_url")


@pytest.mark.parametrize(
    "method, path, allowed",
    [
        ("PUT", "/v1/conversations", {"GET", "HEAD", "POST"}),
        ("PATCH", "/v1/conversations/conv_1", {"GET", "HEAD", "POST", "DELETE"}),
        ("DELETE", "/v1/conversations/conv_1/items", {"GET", "HEAD", "POST"}),
        ("OPTIONS", "/v1/conversations", {"GET", "HEAD", "POST"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_405_with_what_is_allowed(dan: Person, method: str, path: str, allowed: set[str]):
    answer = dan.http.request(method, path)
    assert_error(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "body, code",
    [
        (b"{", "invalid_json"),
        (b"\xff{}", "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'{"metadata":{"a":"1","a":"2"}}', "invalid_json"),
        (b'{"items":[{"type":"x","n":NaN}]}', "invalid_json"),
        (b'{"items":[{"type":"x","n":1e999}]}', "invalid_json"),
        (b'{"items":[{"type":"x","n":' + b"9" * 5000 + b"}]}", "invalid_json"),
        (b'{"items":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
        (b'{"items":[{"type":"x","n":' + b"[" * 200 + b"]" * 200 + b"}]}", "nested_too_deeply"),
        (b"[]", "invalid_type"),
        (b"null", "invalid_type"),
        (b'"text"', "invalid_type"),
    ],
)
def test_a_body_that_cannot_be_kept_exactly_is_refused(dan: Person, body: bytes, code: str):
    assert_error(dan.http.post("/v1/conversations", content=body, headers=JSON), 400, code)
    assert dan.http.get("/v1/conversations").json()["data"] == []


def test_a_body_that_is_no_json_is_415(dan: Person):
    for media_type in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        answer = dan.http.post("/v1/conversations", content=b"{}", headers={"content-type": media_type})
        assert_error(answer, 415, "unsupported_media_type")
    headers = JSON | {"content-encoding": "gzip"}
    assert_error(
        dan.http.post("/v1/conversations", content=gzip.compress(b"{}"), headers=headers), 415, "unsupported_encoding"
    )
    for media_type in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"):
        answer = dan.http.post("/v1/conversations", content=b"{}", headers={"content-type": media_type})
        assert answer.status_code == 200


def test_a_body_beyond_the_limit_is_413_before_it_is_parsed(dan: Person):
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 3 * LIMIT:
            sent += 1024 * 1024
            yield b"[" * 1024 * 1024

    declared = dan.http.post("/v1/conversations", content=b"[" * (LIMIT + 1), headers=JSON)
    assert_error(declared, 413, "request_too_large")
    assert str(LIMIT) in declared.json()["error"]["message"]
    streamed = dan.http.post("/v1/conversations", content=endless(), headers=JSON)
    assert_error(streamed, 413, "request_too_large")
    assert sent < 3 * LIMIT


def test_a_body_that_is_announced_too_large_is_not_waited_for(sqlite_server: LiveServer, dan: Person):
    host, port = sqlite_server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        head = f"POST /v1/conversations HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {dan.key}\r\n"
        connection.sendall(f"{head}Content-Length: {LIMIT + 1}\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_body_at_the_limit_is_read(dan: Person):
    body = b'{"metadata":{}' + b" " * (LIMIT - 15) + b"}"
    assert len(body) == LIMIT
    assert dan.http.post("/v1/conversations", content=body, headers=JSON).status_code == 200


def test_a_stranger_is_refused_before_the_body_is_read(sqlite_server: LiveServer):
    host, port = sqlite_server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        head = f"POST /v1/conversations HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000000\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 401")


def misbehave(app: FastAPI) -> None:
    @app.get("/bug/{error}")
    async def bug(error: str) -> None:
        raise {
            "unexpected": ZeroDivisionError(CONTENT),
            "unknown": OutcomeUnknown(CONTENT),
            "database": DatabaseError(CONTENT),
            "setting": ConfigurationError(CONTENT),
            "user": UnknownUser("this user is not known"),
            "locked": ConversationLocked(CONTENT),
        }[error]

    @app.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def parts():
            yield b"begun"
            raise ZeroDivisionError(CONTENT)

        return StreamingResponse(parts(), media_type="text/plain")

    @app.post("/reads")
    async def reads(request: Request) -> None:
        await request.body()


@pytest.fixture(scope="module")
def buggy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server without a schema and with routes that fail."""
    url = f"sqlite:///{tmp_path_factory.mktemp('buggy') / 'empty.db'}"
    with serving(settings_for(url), prepare=misbehave) as live:
        yield live


def test_errors_of_the_inside_tell_only_whether_to_retry(buggy: LiveServer):
    cases = [("unknown", 503, "outcome_unknown"), ("user", 403, "unknown_user")]
    cases += [(name, 500, "internal_error") for name in ("unexpected", "database", "setting")]
    for name, status, code in cases:
        answer = get(f"{buggy.url}/bug/{name}")
        assert_error(answer, status, code)
        assert CONTENT not in answer.text


def test_a_locked_conversation_has_the_apis_own_words(buggy: LiveServer):
    answer = get(f"{buggy.url}/bug/locked")
    assert_error(answer, 400, "conversation_locked")
    assert answer.json()["error"]["param"] == "conversation"


@pytest.mark.parametrize("name, error", [("unexpected", "ZeroDivisionError"), ("setting", "ConfigurationError")])
def test_an_unexpected_error_is_found_in_the_log_by_its_id_and_without_its_text(
    buggy: LiveServer, name: str, error: str
):
    with request_log() as records:
        answer = get(f"{buggy.url}/bug/{name}")
        line = JsonFormatter().format(line_of(records, request_id=answer.headers["x-request-id"]))
    logged = json.loads(line)
    assert (logged["level"], logged["status"], logged["error"]) == ("error", 500, error)
    assert "test_edge.py" in logged["where"]
    assert CONTENT not in line


def test_a_stream_that_breaks_is_cut_and_not_ended(buggy: LiveServer):
    with pytest.raises(httpx.RemoteProtocolError):
        get(f"{buggy.url}/broken-stream")
    assert get(f"{buggy.url}/healthz").status_code == 200


def test_a_client_that_leaves_while_sending_is_no_error(buggy: LiveServer):
    host, port = buggy.url.removeprefix("http://").split(":")
    with request_log() as records:
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(f"POST /reads HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\n\r\nabc".encode())
        assert line_of(records, status=499).levelno == logging.INFO


def test_a_database_without_its_schema_is_alive_but_not_ready(buggy: LiveServer):
    assert get(f"{buggy.url}/healthz").json() == {"status": "ok"}
    assert_error(get(f"{buggy.url}/readyz"), 503, "schema_outdated")


def test_a_server_is_not_ready_without_its_runtime_role_or_what_it_may_do(pg_url: str):
    role = "made_later"
    with serving(settings_for(pg_url).model_copy(update={"database_role": role})) as live:
        assert_error(get(f"{live.url}/readyz"), 503, "schema_outdated")
        assert_error(live.newcomer().http.get("/v1/conversations"), 503, "schema_outdated")
        migrations.upgrade(pg_url, role=role)
        assert_error(get(f"{live.url}/readyz"), 500, "internal_error")
        with psycopg.connect(pg_url, autocommit=True) as connection:
            connection.execute(f"GRANT SELECT ON conversations TO {role}".encode())
        assert get(f"{live.url}/readyz").status_code == 200
    with psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_a_server_that_nobody_asked_is_ready_after_a_newer_release_has_migrated(pg_url: str):
    with serving(settings_for(pg_url)) as live, psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute("UPDATE hansard_version SET version_num = '9999'")
        assert get(f"{live.url}/readyz").status_code == 200


def test_a_login_that_only_the_runtime_role_lets_into_the_schema_is_enough(
    pg_empty_url: str, pg_server: PostgresServer
):
    with psycopg.connect(pg_empty_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA own")
    url = f"{pg_empty_url}?options=-csearch_path%3Down"
    migrations.upgrade(url)
    service = Login(pg_server)
    service.acts_as(migrations.DEFAULT_ROLE)
    with serving(settings_for(service.url(url))) as live:
        assert get(f"{live.url}/readyz").status_code == 200
        assert live.newcomer().http.get("/v1/conversations").status_code == 200


def test_a_database_that_cannot_be_reached_is_worth_a_retry(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 1.0)
    with serving(settings_for("postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1")) as live:
        assert get(f"{live.url}/healthz").status_code == 200
        assert_error(get(f"{live.url}/readyz"), 503, "database_unavailable", retry=True)
        answer = live.newcomer().http.get("/v1/conversations", timeout=60)
        assert_error(answer, 503, "database_unavailable", retry=True)
        assert answer.headers["retry-after"] == "1"
        assert "nothing was written" in answer.json()["error"]["message"]
        # With a key it may be the second attempt that found no database, and the first one's end is not known.
        keyed = live.newcomer().http.post("/v1/conversations", timeout=60, headers={"idempotency-key": "1"})
        assert_error(keyed, 503, "database_unavailable", retry=True)
        assert "with its key" in keyed.json()["error"]["message"]
        assert "nothing was written" not in keyed.json()["error"]["message"]


def test_a_served_database_is_ready(server: LiveServer):
    assert get(f"{server.url}/readyz").json() == {"status": "ready"}


def test_the_log_names_the_operation_and_the_user_but_no_content(dan: Person):
    with request_log() as records:
        made = dan.http.post(f"/v1/conversations?{CONTENT}=1", json={"metadata": {CONTENT: CONTENT}, "title": CONTENT})
        path = f"/v1/conversations/{made.json()['id']}"
        answers = [made, dan.http.get(path)]
        ids = [answer.headers["x-request-id"] for answer in answers]
        lines = [JsonFormatter().format(line_of(records, request_id=id_)) for id_ in ids]
    first, second = (json.loads(line) for line in lines)
    assert (first["user_id"], first["method"], first["status"]) == (dan.user_id, "POST", 200)
    assert (first["route"], second["route"]) == ("/v1/conversations", "/v1/conversations/{conversation_id}")
    assert first["milliseconds"] >= 0
    for line in lines:
        assert CONTENT not in line
        assert dan.key not in line
