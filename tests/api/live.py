"""A live server: real sockets, a real database, in a thread of the test process."""

import contextlib
import functools
import logging
import queue
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from logging.handlers import QueueHandler
from typing import Any

import httpx
import openai
import uvicorn
from fastapi import FastAPI

from hansard.api.auth import issue_token
from hansard.api.http_protocol import http_protocol
from hansard.app import create_app
from hansard.config import Settings
from tests.support.calls import get

SECRET = "a-secret-of-more-than-thirty-two-bytes-for-tests"
TTL = timedelta(hours=1)


def settings_for(
    database_url: str, *, secret: str | None = SECRET, max_item_bytes: int = 1024 * 1024, pace: float = 0
) -> Settings:
    """Settings as the environment would give them, whatever the environment of the tests holds."""
    return Settings.model_validate(
        {
            "DATABASE_URL": database_url,
            "DATABASE_URL_DIRECT": None,
            "JWT_SECRET_KEY": secret,
            "max_item_bytes": max_item_bytes,
            "offline_pace_seconds": pace,
        }
    )


class Person:
    """Somebody with a token, and the clients they would use, each made when it is asked for."""

    def __init__(self, user_id: str, url: str) -> None:
        self.user_id = user_id
        self.key = issue_token(SECRET.encode(), user_id, ttl=TTL)
        self._url = url
        self._clients = contextlib.ExitStack()

    @functools.cached_property
    def http(self) -> httpx.Client:
        # Nothing is encrypted here, and to load the authorities' certificates takes longer than most tests.
        client = httpx.Client(
            base_url=self._url, headers={"authorization": f"Bearer {self.key}"}, timeout=60, verify=False
        )
        return self._clients.enter_context(client)

    @functools.cached_property
    def sdk(self) -> openai.OpenAI:
        client = openai.OpenAI(**self._options(), http_client=openai.DefaultHttpxClient(verify=False))
        return self._clients.enter_context(client)

    def async_sdk(self) -> openai.AsyncOpenAI:
        """A client that the caller closes."""
        return openai.AsyncOpenAI(**self._options(), http_client=openai.DefaultAsyncHttpxClient(verify=False))

    def close(self) -> None:
        self._clients.close()

    def _options(self) -> dict[str, Any]:
        return {
            "base_url": f"{self._url}/v1",
            "api_key": self.key,
            "max_retries": 0,
            "timeout": 60,
            "_strict_response_validation": True,
        }

    def append(self, conversation_id: str, *texts: str) -> list[str]:
        items = [{"role": "user", "content": text} for text in texts]
        answer = self.http.post(f"/v1/conversations/{conversation_id}/items", json={"items": items})
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["data"]]


class LiveServer:
    """Where the server is, and the people who use it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._people = contextlib.ExitStack()

    def newcomer(self, user_id: str | None = None) -> Person:
        """Somebody the server has never seen."""
        person = Person(user_id or f"user-{uuid.uuid4()}", self.url)
        self._people.callback(person.close)
        return person

    def close(self) -> None:
        self._people.close()


@contextlib.contextmanager
def request_log() -> Iterator[queue.Queue[logging.LogRecord]]:
    """Collect what is logged; a request's line is written after its answer, so take it by `line_of`."""
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    logger, handler = logging.getLogger("hansard"), QueueHandler(records)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield records
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def line_of(records: queue.Queue[logging.LogRecord], **fields: object) -> logging.LogRecord:
    """The next record with these fields; those of requests before it may still come."""
    while True:
        record = records.get(timeout=60)
        if vars(record).items() >= fields.items():
            return record


@contextlib.contextmanager
def serving(settings: Settings, *, prepare: Callable[[FastAPI], None] = lambda _: None) -> Iterator[LiveServer]:
    """Serve until the block ends; `prepare` may add routes that misbehave."""
    app = create_app(settings)
    prepare(app)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(
        uvicorn.Config(app, http=http_protocol(), log_config=None, access_log=False, timeout_keep_alive=60)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    live = LiveServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
    try:
        # The socket listens already, so this waits until the application has started.
        assert get(f"{live.url}/healthz").status_code == 200
        yield live
    finally:
        live.close()
        server.should_exit = True
        thread.join()
        listener.close()
