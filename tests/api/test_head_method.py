"""Whatever GET answers, HEAD answers with the same head and nothing else, and leaves the connection usable."""

import socket
from contextlib import closing
from unittest.mock import AsyncMock
from urllib.parse import urlsplit

import pytest

from hansard.api.head_method import HeadAsGet
from tests.api.live import LiveServer, Person, line_of, request_log

# What differs from one answer to the next.
OWN = {"x-request-id", "date"}


@pytest.fixture
def eve(sqlite_server: LiveServer) -> Person:
    return sqlite_server.newcomer()


@pytest.mark.parametrize(
    "path, status",
    [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/openapi.json", 200),
        ("/v1/conversations", 200),
        ("/v1/conversations/{home}", 200),
        ("/v1/conversations/{home}/items?limit=1", 200),
        ("/v1/conversations/{home}/items?limit=none", 400),
        ("/v1/conversations/conv_0", 404),
        ("/nowhere", 404),
    ],
)
def test_the_head_is_that_of_get(eve: Person, path: str, status: int):
    home = eve.http.post("/v1/conversations", json={}).json()["id"]
    eve.append(home, "first", "second")
    path = path.format(home=home)
    asked, got = eve.http.head(path), eve.http.get(path)
    assert (asked.status_code, asked.content) == (status, b"")
    heads = [{name: value for name, value in one.headers.items() if name not in OWN} for one in (asked, got)]
    assert heads[0] == heads[1]
    assert int(asked.headers["content-length"]) == len(got.content)


def test_who_may_not_read_is_told_so_without_a_body(sqlite_server: LiveServer, eve: Person):
    home = eve.http.post("/v1/conversations", json={}).json()["id"]
    assert sqlite_server.newcomer().http.head(f"/v1/conversations/{home}").status_code == 404
    nobody = eve.http.head(f"/v1/conversations/{home}", headers={"authorization": "Bearer nobody"})
    assert (nobody.status_code, nobody.content) == (401, b"")


def test_the_log_says_that_it_was_head_and_of_what(eve: Person):
    with request_log() as records:
        eve.http.head("/v1/conversations/conv_0")
        line = line_of(records, method="HEAD")
    assert vars(line).items() >= {"route": "/v1/conversations/{conversation_id}", "user_id": eve.user_id}.items()


async def test_what_was_found_out_is_told_also_when_nothing_is_answered():
    async def failing(scope, receive, send):
        scope["route"] = scope["method"]
        raise ZeroDivisionError

    scope = {"type": "http", "method": "HEAD"}
    with pytest.raises(ZeroDivisionError):
        await HeadAsGet(failing)(scope, AsyncMock(), AsyncMock())
    assert scope == {"type": "http", "method": "HEAD", "route": "GET"}


def test_what_only_takes_other_methods_refuses_head_too(eve: Person):
    answer = eve.http.head("/v1/responses")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")


def test_a_stream_ends_with_its_head_and_the_connection_serves_on(sqlite_server: LiveServer, eve: Person):
    home = eve.http.post("/v1/conversations", json={}).json()["id"]
    names = f"host: x\r\nauthorization: Bearer {eve.key}\r\n"
    asks = f"HEAD /v1/conversations/{home}/events HTTP/1.1\r\n{names}\r\n".encode()
    with closing(socket.create_connection(("127.0.0.1", urlsplit(sqlite_server.url).port or 80), timeout=20)) as line:
        line.sendall(asks * 2 + f"GET /healthz HTTP/1.1\r\n{names}connection: close\r\n\r\n".encode())
        said = b""
        while piece := line.recv(65536):
            said += piece
    *streams, health, body = said.split(b"\r\n\r\n")
    assert [b"content-type: text/event-stream" in head for head in streams] == [True, True]
    assert (health.startswith(b"HTTP/1.1 200 "), body) == (True, b'{"status":"ok"}')
