"""What a request sends beside its body is bounded, before anybody knows who asks."""

import json
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from hansard.api.http_protocol import HEAD_BYTES
from tests.api.live import LiveServer
from tests.support.calls import get

MOST_BYTES = 4 * 1024 * 1024
GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"
CHUNKED = (
    b"POST /v1/conversations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ntransfer-encoding: chunked\r\n\r\n"
)

ENDLESS = [
    pytest.param(b"GET /healthz?", b"a" * 4096, id="an address"),
    pytest.param(GET + b"x: ", b"a" * 4096, id="a header"),
    pytest.param(GET, b"x-anything: at all\r\n" * 200, id="headers"),
    pytest.param(CHUNKED + b"0\r\n", b"x-anything: at all\r\n" * 200, id="trailers"),
    pytest.param(CHUNKED + b"0\r\nx: ", b"a" * 4096, id="a trailer"),
    pytest.param(CHUNKED + b"1;", b"a" * 4096, id="a chunk's extension"),
]


def connected(server: LiveServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 80), timeout=20)


def all_that_comes(connection: socket.socket) -> bytes:
    said = b""
    try:
        while piece := connection.recv(65536):
            said += piece
    except ConnectionResetError:
        pass  # what we had sent was not read to its end
    return said


@pytest.mark.parametrize("begins, goes_on", ENDLESS)
def test_what_has_no_end_is_not_read_to_its_end(sqlite_server: LiveServer, begins: bytes, goes_on: bytes):
    key = sqlite_server.newcomer().key.encode()
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(begins % key if b"%b" in begins else begins)
        sent = 0
        try:
            while sent < MOST_BYTES:
                sent += connection.send(goes_on)
        except (BrokenPipeError, ConnectionResetError):
            pass
        said = all_that_comes(connection)
    if said:  # the refusal may be lost with the connection, where the sender goes on sending
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431 ")
        assert b"connection: close" in head
        assert json.loads(body)["error"]["code"] == "request_head_too_large"
    assert sent < MOST_BYTES


HALF = b"a" * (HEAD_BYTES // 2)


@pytest.mark.parametrize(
    "beyond",
    [
        pytest.param(GET + b"x: " + HALF + HALF, id="a header"),
        pytest.param(b"GET /healthz?" + HALF + b" HTTP/1.1\r\nhost: x\r\nx: " + HALF, id="an address and a header"),
    ],
)
def test_a_head_just_beyond_the_limit_is_refused_and_one_within_it_is_not(sqlite_server: LiveServer, beyond: bytes):
    within = {f"x-{number}": "a" * 1000 for number in range(HEAD_BYTES // 1100)}
    assert get(f"{sqlite_server.url}/healthz", headers=within).status_code == 200
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(beyond + b"\r\n\r\n")
        head, _, body = all_that_comes(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    error = json.loads(body)["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "request_head_too_large", None)
    assert str(HEAD_BYTES) in error["message"]


def test_long_bodies_and_many_requests_on_one_connection_are_no_large_heads(sqlite_server: LiveServer):
    ann = sqlite_server.newcomer()
    conversation = ann.http.post("/v1/conversations", json={}).json()["id"]
    for times in (3, 3, 15):  # the longest is not read at once
        ann.append(conversation, "a" * (times * HEAD_BYTES))
    with closing(connected(sqlite_server)) as connection:
        times, head = 3 * HEAD_BYTES // 1000, GET + b"x: " + b"a" * 1000 + b"\r\n"
        connection.sendall((head + b"\r\n") * times + GET + b"connection: close\r\n\r\n")
        assert all_that_comes(connection).count(b"HTTP/1.1 200 ") == times + 1


def test_what_follows_a_body_adds_nothing_to_the_request(sqlite_server: LiveServer):
    key = sqlite_server.newcomer().key.encode()
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(CHUNKED % key + b"2\r\n{}\r\n0\r\nconnection: close\r\ncontent-encoding: gzip\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
TITLE = b'{"title":"errands"}'
FRAMED = [
    pytest.param(b"content-length: %d\r\n\r\n%b" % (len(TITLE), TITLE), id="whole"),
    pytest.param(b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(TITLE), TITLE), id="in chunks"),
]


@pytest.mark.parametrize("framed", FRAMED)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_request_that_offers_another_protocol_keeps_its_body(sqlite_server: LiveServer, framed: bytes, at_once: bool):
    key = sqlite_server.newcomer().key.encode()
    asks = b"POST /v1/conversations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n%b" % (key, OFFER + framed)
    with closing(connected(sqlite_server)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in [asks * 2] if at_once else [asks[index : index + 1] for index in range(len(asks))]:
            connection.sendall(piece)
        connection.sendall(GET + b"connection: close, upgrade\r\nupgrade: websocket\r\n\r\n")
        said = all_that_comes(connection)
    times = 2 if at_once else 1
    assert said.count(b"HTTP/1.1 200 ") == times + 1
    assert said.count(b'"title":"errands"') == times
    assert said.endswith(b'{"status":"ok"}')


def test_a_body_behind_an_offer_is_no_request(sqlite_server: LiveServer):
    hidden = GET + b"\r\n"
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(b"POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n%b\r\n" % (len(hidden), OFFER))
        assert connection.recv(65536).startswith(b"HTTP/1.1 405 ")
        connection.sendall(hidden + GET + b"connection: close\r\n\r\n")
        assert all_that_comes(connection).count(b"HTTP/1.1 200 ") == 1


def test_many_offers_at_once_are_read_one_after_the_other(sqlite_server: LiveServer):
    with closing(connected(sqlite_server)) as connection:
        times = 2000
        connection.sendall((GET + b"connection: upgrade\r\nupgrade: x\r\n\r\n") * times + GET)
        connection.sendall(b"connection: close\r\n\r\n")
        assert all_that_comes(connection).count(b"HTTP/1.1 200 ") == times + 1


def test_a_tunnel_is_refused(sqlite_server: LiveServer):
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n" + GET + b"\r\n")
        said = all_that_comes(connection)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1


def test_what_is_no_request_does_not_break_into_an_answer_that_is_on_its_way(sqlite_server: LiveServer):
    ann = sqlite_server.newcomer()
    home = ann.http.post("/v1/conversations", json={}).json()["id"]
    path, key = f"/v1/conversations/{home}/events".encode(), ann.key.encode()
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(b"GET %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n\r\n" % (path, key))
        said = b""
        while b"\n\n" not in said:
            said += connection.recv(65536)
        connection.sendall(b"let me in\r\n\r\n")
        said += all_that_comes(connection)
    assert said.count(b"HTTP/1.1 ") == 1


def test_what_is_no_request_is_refused_in_the_apis_words(sqlite_server: LiveServer):
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(b"let me in\r\n\r\n")
        head, _, body = all_that_comes(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nx-request-id: req_" in head
    assert b"\r\nx-content-type-options: nosniff" in head
    assert json.loads(body)["error"]["code"] == "invalid_http"


def test_what_is_no_request_is_not_taken_for_the_answer_to_one(sqlite_server: LiveServer):
    ann = sqlite_server.newcomer()
    begins = CHUNKED % ann.key.encode()
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(begins + b"2\r\n{}\r\n0\r\n\r\n" + b"let me in\r\n\r\n")
        assert all_that_comes(connection) == b""
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(begins + b"2\r\n{}\r\n0\r\n\r\n" + begins + b"no size")
        assert all_that_comes(connection) == b""
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(b"POST /healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 405 ")
        connection.sendall(b"no size")
        assert all_that_comes(connection) == b""


def test_what_is_no_request_is_refused_also_after_others(sqlite_server: LiveServer):
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(b"POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 405 ")
        connection.sendall(b"{}let me in\r\n\r\n")
        assert all_that_comes(connection).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_cannot_be_read_is_refused(sqlite_server: LiveServer):
    with closing(connected(sqlite_server)) as connection:
        connection.sendall(CHUNKED % sqlite_server.newcomer().key.encode() + b"no size")
        assert all_that_comes(connection).startswith(b"HTTP/1.1 400 ")
