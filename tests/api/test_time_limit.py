"""A request that takes too long is stopped, and its sender is told what became of it; what may last, lasts."""

import asyncio
import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import uvloop
from starlette.types import Message

from hansard.api import time_limit
from hansard.utils import witness
from tests.api.live import LiveServer, serving, settings_for
from tests.support.observers import Observer, PostgresObserver

SECONDS = 0.4


@pytest.fixture(scope="module")
def hurried(database_url: str) -> Iterator[LiveServer]:
    """A server without patience, whose assistant speaks slowly: what shall be answered in time, `server` is asked."""
    hasty = settings_for(database_url, pace=0.05).model_copy(
        update={"body_seconds": SECONDS, "answer_seconds": SECONDS}
    )
    with serving(hasty) as live:
        yield live


class Expiries:
    """Tell when the time of a request is over; what follows happens in the server's own time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._over = threading.Semaphore(0)
        expire = time_limit._Clock._expire

        def tell(clock: time_limit._Clock) -> None:
            expire(clock)
            self._over.release()

        monkeypatch.setattr(time_limit._Clock, "_expire", tell)

    def wait(self) -> None:
        assert self._over.acquire(timeout=30)


@pytest.fixture
def expiries(monkeypatch: pytest.MonkeyPatch) -> Expiries:
    return Expiries(monkeypatch)


def in_time(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask again, as one is told to, while the machine is too busy for a server without patience."""
    for _ in range(20):
        answer = ask()
        if answer.status_code != 503:
            return answer
        assert answer.headers["x-should-retry"] == "true"
    raise AssertionError("it was never answered in time")


def assert_told(answer: httpx.Response, status: int, code: str, *, retry: bool) -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["x-should-retry"] == str(retry).lower()
    assert answer.headers["x-request-id"].startswith("req_")


def test_a_write_that_waits_too_long_is_undone_or_done_and_says_which(
    hurried: LiveServer, server: LiveServer, observer: Observer, expiries: Expiries
):
    patient = server.newcomer()
    ann = hurried.newcomer(patient.user_id)
    home = patient.http.post("/v1/conversations", json={}).json()["id"]

    def append(number: int, headers: dict[str, str] | None = None) -> httpx.Response:
        items = [{"role": "user", "content": str(number)}]
        return ann.http.post(f"/v1/conversations/{home}/items", headers=headers, json={"items": items})

    with ThreadPoolExecutor() as threads:
        with observer.holding_writers():
            sent = [threads.submit(append, number) for number in range(4)]
            for _ in sent:
                expiries.wait()
        answers = [future.result() for future in sent]
    kept = {item["content"][0]["text"] for item in patient.http.get(f"/v1/conversations/{home}/items").json()["data"]}
    for number, answer in enumerate(answers):
        if str(number) in kept:
            assert_told(answer, 503, "done_too_late", retry=False)
        else:
            assert_told(answer, 503, "timed_out", retry=True)
            assert "nothing was written" in answer.json()["error"]["message"]
    assert in_time(lambda: append(9, {"idempotency-key": "9"})).status_code == 200


def test_a_database_that_does_not_answer_is_asked_to_stop(hurried: LiveServer, server: LiveServer, observer: Observer):
    patient = server.newcomer()
    bob = hurried.newcomer(patient.user_id)
    home = patient.http.post("/v1/conversations", json={}).json()["id"]
    if not isinstance(observer, PostgresObserver):
        # Nothing keeps those who read waiting, and one writer waits for another as long as that takes.
        with observer.holding_writers():
            assert patient.http.get("/v1/conversations").status_code == 200
        return
    with observer.holding_everybody():
        # The answers come although the lock is never released.
        assert_told(bob.http.get(f"/v1/conversations/{home}"), 503, "timed_out", retry=True)
        assert_told(bob.http.post(f"/v1/conversations/{home}", json={"title": "x"}), 503, "timed_out", retry=True)
    assert patient.http.get(f"/v1/conversations/{home}").json()["title"] is None


async def receive_nothing() -> Message:
    return {"type": "http.request"}


@pytest.mark.parametrize(
    "seen, headers, code, retry",
    [
        ([], [], "timed_out", "true"),
        ([False], [], "timed_out", "true"),
        ([True], [], "done_too_late", "false"),
        ([True], [(b"idempotency-key", b"k")], "done_too_late", "true"),
        ([True, None], [], "outcome_unknown", "false"),
    ],
)
async def test_what_became_of_a_stopped_request_is_told(seen, headers, code, retry):
    sent: list[Message] = []

    async def handler(scope, receive, send):
        for done in seen:
            witness.testify(done=done)
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": headers}
    await time_limit.TimeLimit(handler, body_seconds=1, answer_seconds=0)(scope, receive_nothing, send)
    assert sent[0]["status"] == 503
    assert dict(sent[0]["headers"])[b"x-should-retry"].decode() == retry
    assert json.loads(sent[1]["body"])["error"]["code"] == code
    assert scope["hansard.error"] == {"error": "TimeLimit", "outcome": code}


@pytest.mark.parametrize("new_event_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_no_time_at_all_is_told_like_any_other(new_event_loop):
    sent: list[Message] = []

    async def handler(scope, receive, send):
        while True:
            await receive()
            await asyncio.sleep(0)

    async def send(message):
        sent.append(message)

    limit = time_limit.TimeLimit(handler, body_seconds=60, answer_seconds=0)
    with contextlib.closing(new_event_loop()) as loop:
        scope = {"type": "http", "method": "POST", "headers": []}
        loop.run_until_complete(asyncio.wait_for(limit(scope, receive_nothing, send), 30))
    assert json.loads(sent[1]["body"])["error"]["code"] == "timed_out"


async def test_a_request_that_somebody_else_cancels_stays_cancelled():
    async def handler(scope, receive, send):
        await asyncio.Event().wait()

    async def send(message):
        pytest.fail("nobody is there to be answered")

    limit = time_limit.TimeLimit(handler, body_seconds=1, answer_seconds=60)
    request = limit({"type": "http", "method": "GET", "headers": []}, receive_nothing, send)
    task = asyncio.ensure_future(request)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before, a task does not know how often it was cancelled")
async def test_a_request_that_somebody_else_cancels_as_its_time_is_over_stays_cancelled(monkeypatch):
    expire = time_limit._Clock._expire

    def both(clock: time_limit._Clock) -> None:
        expire(clock)
        task.cancel()

    async def handler(scope, receive, send):
        await asyncio.Event().wait()

    async def send(message):
        pytest.fail("nobody is there to be answered")

    monkeypatch.setattr(time_limit._Clock, "_expire", both)
    limit = time_limit.TimeLimit(handler, body_seconds=1, answer_seconds=0)
    task = asyncio.ensure_future(limit({"type": "http", "method": "GET", "headers": []}, receive_nothing, send))
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


@pytest.mark.parametrize("stalls", [True, False], ids=["stalls", "comes piece by piece"])
@pytest.mark.parametrize("lasts", [True, False], ids=["a turn", "a write"])
async def test_no_body_has_more_time_than_another_and_a_slow_one_is_no_error_of_ours(stalls, lasts):
    sent: list[Message] = []
    scope = {"type": "http", "method": "POST", "headers": []}

    async def receive() -> Message:
        await (asyncio.Event().wait() if stalls else asyncio.sleep(0))
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def handler(scope, receive, send):
        if lasts:
            time_limit.without_limit(scope)
        while (await receive())["more_body"]:
            pass

    async def send(message):
        sent.append(message)

    limit = time_limit.TimeLimit(handler, body_seconds=0.01, answer_seconds=60)
    await asyncio.wait_for(limit(scope, receive, send), 5)
    assert sent[0]["status"] == 408
    assert "hansard.error" not in scope


def test_a_body_that_does_not_come_is_408(hurried: LiveServer):
    key = hurried.newcomer().key
    host, port = hurried.url.removeprefix("http://").split(":")
    head = f"POST /v1/conversations HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {key}\r\n"
    for framing, part in [("Content-Length: 100", b'{"a'), ("Transfer-Encoding: chunked", b'3\r\n{"a\r\n')]:
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(f"{head}{framing}\r\n\r\n".encode() + part)
            answer = connection.makefile("rb").read()
        # The connection was closed, or this would still be reading.
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"request_timeout"' in answer
        assert b"x-should-retry: true" in answer
        assert b"connection: close" in answer


def test_turns_and_streams_take_their_time(hurried: LiveServer, server: LiveServer):
    patient = server.newcomer()
    cyd = hurried.newcomer(patient.user_id)
    home = patient.http.post("/v1/conversations", json={}).json()["id"]
    body = {"model": "offline", "input": "Hello there, how are you?", "conversation": home}
    whole = in_time(lambda: cyd.http.post("/v1/responses", json=body))
    assert (whole.status_code, whole.json()["status"]) == (200, "completed")
    assert whole.elapsed.total_seconds() > SECONDS
    watched = f"/v1/conversations/{home}/events?after=0"
    with contextlib.ExitStack() as open_:
        view = in_time(lambda: open_.enter_context(cyd.http.stream("GET", watched)))
        asked = body | {"stream": True}
        turn = in_time(lambda: open_.enter_context(cyd.http.stream("POST", "/v1/responses", json=asked)))
        assert "response.completed" in turn.read().decode()
        assert turn.elapsed.total_seconds() > SECONDS
        seen = view.iter_lines()
        assert any("response.completed" in line for line in seen)
