"""Of requests that a client sends in a row, before any answer, none outlives the client."""

import logging
import socket
import struct
from contextlib import closing
from urllib.parse import urlsplit

from tests.api.live import LiveServer, line_of, request_log

# To close with nothing left to send and all that came thrown away: the other side is told at once.
RESET = struct.pack("ii", 1, 0)


def test_a_stream_ends_with_its_client_although_another_request_waits_behind_it(sqlite_server: LiveServer):
    eve = sqlite_server.newcomer()
    home = eve.http.post("/v1/conversations", json={}).json()["id"]
    names = f"host: x\r\nauthorization: Bearer {eve.key}\r\n\r\n"
    asks = f"GET /v1/conversations/{home}/events HTTP/1.1\r\n{names}GET /healthz HTTP/1.1\r\n{names}".encode()
    with request_log() as records:
        with closing(socket.create_connection(("127.0.0.1", urlsplit(sqlite_server.url).port or 80), 20)) as line:
            line.sendall(asks)
            assert line.recv(65536).startswith(b"HTTP/1.1 200 ")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        # Nobody has written to the client since, which is the other way to find out, after a while.
        left = line_of(records, route="/v1/conversations/{conversation_id}/events")
    assert (left.levelno, vars(left).get("error")) == (logging.INFO, None)
