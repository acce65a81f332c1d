"""Count what the service does, for Prometheus. See docs/how-to/observe.md.

Labels are templates of routes, names of operations, methods and statuses: there are as many of them as there are
lines of code, never as many as users or conversations.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hansard.api.auth import INVALID, unauthenticated
from hansard.api.middleware import CLIENT_GONE, known_method
from hansard.database import Connections

# How many turns run, and what the pool of connections does, where there is one.
Sample: TypeAlias = tuple[int, Connections | None]

_TEXT: Final = "text/plain; version=0.0.4"
_ANSWER_SECONDS: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STORE_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """Hold the counters of this process; with several processes, each writes them to files that all can read."""

    def __init__(self) -> None:
        # prometheus-client's own name, read by it when it was imported: `hansard serve` sets it for its workers.
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        self._folder = None if folder is None else Path(folder)
        self._registry = registry = CollectorRegistry()
        if self._folder is None:
            ProcessCollector(registry=registry)
        else:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # theirs
        # Several processes' counters are collected from their files alone.
        own = None if self._folder else registry
        self._requests = Counter(
            "hansard_http_requests", "Requests answered.", ("method", "route", "status"), registry=own
        )
        self._answers = Histogram(
            "hansard_http_answer_seconds",
            "Time until an answer began.",
            ("method", "route"),
            buckets=_ANSWER_SECONDS,
            registry=own,
        )
        self._operations = Histogram(
            "hansard_store_seconds",
            "Time that an operation of the store took.",
            ("operation",),
            buckets=_STORE_SECONDS,
            registry=own,
        )
        self._failures = Counter(
            "hansard_store_errors", "Operations of the store that raised.", ("operation", "error"), registry=own
        )
        self._appended = Counter("hansard_items_appended", "Items added to conversations.", registry=own)
        self._turns = Counter("hansard_turns", "Turns that ended, and how.", ("status",), registry=own)
        self._running = _gauge("hansard_turns_running", "Turns that run now.", own)
        self._connections = _gauge(
            "hansard_database_connections", "Connections to PostgreSQL, and room for more.", own, "state"
        )

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """Time an operation of the store."""
        began = time.perf_counter()
        try:
            yield
        except Exception as error:
            self._failures.labels(name, type(error).__name__).inc()
            raise
        finally:
            self._operations.labels(name).observe(time.perf_counter() - began)

    def appended(self, count: int) -> None:
        """Count items."""
        self._appended.inc(count)

    def turn_ended(self, status: str) -> None:
        """Count a turn."""
        self._turns.labels(status).inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._answers.labels(method, route).observe(seconds)

    def sampled(self, sample: Sample | None) -> None:
        """Remember what is so now, if that could be told."""
        if sample is None:
            return
        turns, connections = sample
        self._running.set(turns)
        if connections is not None:
            self._connections.labels("lent").set(connections.lent)
            self._connections.labels("idle").set(connections.idle)
            self._connections.labels("unmade").set(connections.most - connections.lent - connections.idle)

    def text(self) -> bytes:
        """Return everything, of all processes, in Prometheus' text format."""
        if self._folder is not None:
            _forget_the_dead(self._folder)
        return generate_latest(self._registry)


class Metered:
    """Count requests; it stands outermost, so that it sees every status."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, sample: Callable[[], Sample | None]) -> None:
        self._app = app
        self._metrics = metrics
        self._sample = sample

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        answered = False

        async def counting(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                self._count(scope, message["status"], time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, counting)
        finally:
            if not answered:
                self._count(scope, CLIENT_GONE, time.perf_counter() - began)
            self._metrics.sampled(self._sample())

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path_format", "unmatched")
        self._metrics.answered(known_method(scope), route, status, seconds)


def metrics_router(metrics: Metrics, *, token: str, sample: Callable[[], Sample | None]) -> APIRouter:
    """Return the route that Prometheus asks, with ``token`` as its bearer token."""
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    async def get_metrics(request: Request) -> Response:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        # Also what is no ASCII is compared, in the same time.
        if scheme.lower() != "bearer" or not hmac.compare_digest(sent.strip().encode(), token.encode()):
            raise unauthenticated(INVALID)
        metrics.sampled(sample())
        return Response(metrics.text(), media_type=_TEXT)

    return router


def _gauge(name: str, text: str, registry: Any, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=registry, multiprocess_mode="livesum")


def _forget_the_dead(folder: Path) -> None:
    """Remove what processes that are gone had at their end; what they counted stays."""
    for file in folder.glob("gauge_livesum_*.db"):
        if not _lives(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):  # what is somebody else's has the number of one of ours that is gone
        return False
    return True
