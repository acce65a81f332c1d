"""Reach the server of a model over HTTP: one POST, one stream of events, and a limit to every wait."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import anyio
import httpx

from hansard.agents.upstream import via
from hansard.agents.upstream.failure import AnswerFailed
from hansard.agents.upstream.refusal import pause_before_retry, read_refusal
from hansard.agents.upstream.sse import EventReader
from hansard.models.limits import JsonObject
from hansard.utils.json_text import write_json

MOST_ANSWER_BYTES: Final = 256 * 1024 * 1024

BROKEN_OFF: Final = "The model's server broke off in the middle of its answer."

_EVENT_STREAM: Final = "text/event-stream"
# After the last event the server has only to end the body; then the connection serves the next request as well.
_FAREWELL_SECONDS: Final = 0.25
_OK: Final = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Hold how long an upstream may take, in seconds.

    ``first_byte`` counts from the request to the first byte of its answer, ``silence`` between any two bytes, so that
    a server that thinks for long may ping; ``total`` is for the whole answer, with all its rounds of tools.
    """

    connect: float = 10
    first_byte: float = 300
    silence: float = 120
    total: float = 1800


class Deadline:
    """Be the end of one answer's time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = anyio.current_time() + seconds

    @contextmanager
    def at_most(self, seconds: float, doing: str) -> Iterator[None]:
        """Cut a wait short after ``seconds``, or at the end of the answer's time when that is earlier."""
        left = self._at - anyio.current_time()
        try:
            with anyio.fail_after(max(0, min(seconds, left))):
                yield
        except TimeoutError:
            if left <= seconds:
                raise AnswerFailed(f"The model's answer took longer than {self._seconds:g} seconds.") from None
            raise AnswerFailed(f"The model's server {doing} for {seconds:g} seconds.") from None


class Upstream:
    """Be one server. It keeps connections for reuse, so make it in the event loop that uses it, and close it.

    Redirects are not followed and cookies not kept: neither the key nor anything of one user's answer goes where
    it was not meant to. ``name`` is that of this process, see `via`.
    """

    def __init__(self, base_url: str, *, api_key: str | None = None, name: str, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._api_key = api_key
        self._name = name
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"accept": _EVENT_STREAM, "accept-encoding": "identity", "user-agent": "hansard"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=self.limits.connect),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )
        if api_key is not None:
            self._client.headers["authorization"] = f"Bearer {api_key}"

    def conceal(self, text: str) -> str:
        """Return the text without the key, should a server have repeated it."""
        return text.replace(self._api_key, "…") if self._api_key else text

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def ask(self, path: str, body: JsonObject, deadline: Deadline) -> Answering:
        """Return the beginning of the answer; close it.

        Raises `AnswerFailed`, and `EndpointMissing` where there is no such API. A server that is busy is asked
        again, when it says so within reason: it has not begun, so nothing happens twice.
        """
        attempt = 0
        while True:
            response = await self._send(path, body, deadline)
            if response.status_code == _OK:
                return Answering(response, self.limits, deadline)
            async with aclosing(response):
                pause = pause_before_retry(response, attempt)
                if pause is None:
                    raise await self._refusal(response, deadline)
            _log.warning("upstream is busy", extra={"status": response.status_code, "pause": pause})
            with deadline.at_most(float("inf"), ""):
                await anyio.sleep(pause)
            attempt += 1

    async def _refusal(self, response: httpx.Response, deadline: Deadline) -> AnswerFailed:
        with deadline.at_most(self.limits.silence, "was silent"):
            return await read_refusal(response)

    async def _send(self, path: str, body: JsonObject, deadline: Deadline) -> httpx.Response:
        headers = {"content-type": "application/json", via.HEADER: via.header_of(self._name)}
        request = self._client.build_request("POST", path, content=write_json(body), headers=headers)
        try:
            with deadline.at_most(self.limits.first_byte, "did not answer"):
                return await self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise AnswerFailed("The model's server cannot be reached.") from error
        except httpx.HTTPError as error:
            raise AnswerFailed("The model's server closed the connection without an answer.") from error


class Answering:
    """Be a server that answers."""

    def __init__(self, response: httpx.Response, limits: Limits, deadline: Deadline) -> None:
        self._response = response
        self._limits = limits
        self._deadline = deadline
        self._pieces = response.aiter_bytes()

    async def aclose(self) -> None:
        """End the connection, unless the answer came to its end."""
        await self._response.aclose()

    async def events(self) -> AsyncGenerator[str, None]:
        """Yield the data of each event until the body ends; raises `AnswerFailed`."""
        content_type = self._response.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != _EVENT_STREAM:
            raise AnswerFailed("The model's server did not answer with a stream of events.")
        reader, received = EventReader(), 0
        while piece := await self._next_piece():
            received += len(piece)
            if received > MOST_ANSWER_BYTES:
                raise AnswerFailed(f"The model's server sent more than {MOST_ANSWER_BYTES} bytes.")
            for data in reader.feed(piece):
                yield data

    async def farewell(self) -> None:
        """Let the body end after the last event; a server that does not end it loses the connection."""
        with anyio.move_on_after(_FAREWELL_SECONDS):
            try:
                async for _ in self._pieces:
                    pass
            except httpx.HTTPError:
                return

    async def _next_piece(self) -> bytes:
        try:
            with self._deadline.at_most(self._limits.silence, "was silent"):
                return await anext(self._pieces, b"")
        except httpx.HTTPError as error:
            raise AnswerFailed(BROKEN_OFF) from error
