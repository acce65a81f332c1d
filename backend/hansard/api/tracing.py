"""Send traces to an OpenTelemetry collector: a span for each request and each operation of the store.

Spans have the names of routes and operations, statuses, and the class of an error; no text, no ids, no parameters.
Everything else is told by the standard ``OTEL_…`` variables, which the SDK reads itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hansard.api.middleware import known_method
from hansard.errors import DatabaseError, HansardError

_SERVER_ERROR: Final = 500


class Tracing:
    """Make spans and send them, in batches, from a thread of their own.

    It is not the process' global tracing: other libraries would tell more than we do.
    """

    def __init__(self, *, database: str) -> None:
        release = version("hansard")
        ours = Resource({"service.name": "hansard", "service.version": release})
        self._provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer = self._provider.get_tracer("hansard", release)
        self._database = database

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """Make a span around an operation of the store."""
        attributes = {"db.system.name": self._database, "db.operation.name": name}
        span = self.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        with current(span):
            try:
                yield
            except Exception as error:
                # What is missing, or does not fit, is an answer like any other.
                if not isinstance(error, HansardError) or isinstance(error, DatabaseError):
                    fail(span, type(error).__name__)
                raise
            finally:
                span.end()

    def appended(self, count: int) -> None:
        """Say nothing: how many items there are is for the metrics."""

    def turn_ended(self, status: str) -> None:
        """Say nothing, likewise."""

    def close(self) -> None:
        """Send what waits, and stop; this may take a while."""
        self._provider.shutdown()


class Traced:
    """Make a span of each request, part of the trace that it came with."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracer = tracing.tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = known_method(scope)
        span = self._tracer.start_span(
            method,
            context=_came_with(Headers(scope=scope)),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.scheme": scope["scheme"]},
        )
        scope["hansard.trace_id"] = trace.format_trace_id(span.get_span_context().trace_id)

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", message["status"])
                if message["status"] >= _SERVER_ERROR:
                    fail(span, str(message["status"]))
            await send(message)

        try:
            with current(span):
                await self._app(scope, receive, telling)
        finally:
            route = getattr(scope.get("route"), "path_format", None)
            if route is not None:
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)
            span.end()


def _came_with(headers: Headers) -> Context:
    """Return the trace that a request is part of.

    Who sends it may write anything beside its id, as baggage or state: the SDK would log some of it, and send some on.
    """
    parent = headers.get("traceparent", "")
    return TraceContextTextMapPropagator().extract({"traceparent": parent})


@contextmanager
def current(span: Span) -> Iterator[None]:
    """Let spans that are made inside be children of this one; it does not end, and hears of no exception's text."""
    with trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
        yield


def fail(span: Span, error: str) -> None:
    """Mark a span as failed, by a word of ours."""
    span.set_attribute("error.type", error)
    span.set_status(Status(StatusCode.ERROR))
