"""An operator sees how the service fares; nobody sees what people write, or what lets them in."""

import json
import logging
import re
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from pydantic import SecretStr

from hansard.api.auth import issue_token
from hansard.api.instruments import Instruments
from hansard.api.logs import JsonFormatter
from hansard.api.metrics import _forget_the_dead
from hansard.errors import ConfigurationError
from tests.api.live import SECRET, TTL, LiveServer, serving, settings_for
from tests.support.calls import get, request
from tests.support.collector import Collector, attributes, collecting
from tests.support.served import Served

MARKER = "Xq7-what-nobody-may-read"
TOKEN = "a-token-for-prometheus"
SCRAPER = {"authorization": f"Bearer {TOKEN}"}
# All that a span may say. What is not listed here has to be thought about first.
SAYABLE = {
    "db.operation.name",
    "db.system.name",
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "url.scheme",
}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def watched(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Served]:
    """The service as it is run, with everything on that tells about it."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "hansard.db").write_bytes(sqlite_template.read_bytes())
    served = Served(
        folder,
        JWT_SECRET_KEY=SECRET,
        HANSARD_LOG_LEVEL="DEBUG",
        HANSARD_METRICS_TOKEN=TOKEN,
        HANSARD_TRACING="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_SERVICE_NAME="the-clerk",
        # The framework has telemetry of its own, which tells addresses and what is searched for.
        FASTAPI_OTEL_AUTO_CONFIGURE="true",
    )
    served.start()
    yield served
    served.kill()


def speak_everywhere(url: str, key: str) -> int:
    """Say the marker in every place of every operation, as JSON and as noise; return how many requests that took."""
    marked = dict.fromkeys(("title", "metadata", "input", "code", "model", "conversation", MARKER), MARKER)
    bodies = [json.dumps(body).encode() for body in (marked, {"items": MARKER, "texts": [MARKER]})]
    bodies += [f"{{{MARKER}\xff".encode("latin-1"), b""]
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "cookie": f"session={MARKER}"}
    sent = 0
    with httpx.Client(base_url=url, headers=headers, timeout=60, verify=False) as client:
        document = client.get("/openapi.json").json()
        for template, operations in document["paths"].items():
            path = re.sub(r"\{\w+\}", MARKER, template)
            for method in operations:
                for body in bodies if method in {"post", "patch"} else bodies[-1:]:
                    more = {"idempotency-key": MARKER, "last-event-id": MARKER, "x-request-id": f"{MARKER} {MARKER}"}
                    # What a trace brings along beside its id is for others.
                    more["traceparent"] = f"00-{secrets.token_hex(16)}-00f067aa0ba902b7-01"
                    more |= {"tracestate": f"a={MARKER}", "baggage": MARKER}
                    client.request(method, path, params={MARKER: MARKER}, content=body, headers=more)
                    client.request(method, path, headers={"authorization": f"Bearer {MARKER}"}, content=body)
                    sent += 2
    return sent


def converse(url: str, key: str) -> None:
    """Use the service as people do, with the marker in all they say, and let it fail as well."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as sdk:
        made = sdk.conversations.create(items=[{"role": "user", "content": MARKER}], metadata={MARKER: MARKER})
        sdk.conversations.items.create(made.id, items=[{"role": "user", "content": MARKER}])
        sdk.responses.create(model="offline", input=f"Add a task: {MARKER}", conversation=made.id)
        for _ in sdk.responses.create(model="offline", input=MARKER, conversation=made.id, stream=True):
            pass
        assert MARKER in sdk.conversations.items.list(made.id).model_dump_json()
        with pytest.raises(openai.BadRequestError):
            sdk.responses.create(input=MARKER, model=MARKER, previous_response_id=MARKER)
        sdk.conversations.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            sdk.conversations.retrieve(made.id)
    found = get(f"{url}/v1/search", params={"query": MARKER}, headers={"authorization": f"Bearer {key}"})
    assert found.status_code == 200


def shout(url: str) -> None:
    """Send what is no HTTP, and methods and addresses that nobody has."""
    host, port = url.removeprefix("http://").split(":")
    rest = f"/{MARKER}?{MARKER} HTTP/1.1\r\nHost: {MARKER}\r\n{MARKER}: {MARKER}\r\n\r\n"
    # Not every parser takes the last for a method; all take the first for one.
    for line in (f"PROPFIND {rest}", f"{MARKER}\r\n\r\n", f"{MARKER} {rest}"):
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(line.encode())
            assert connection.recv(1000)


def test_nothing_that_people_write_or_hold_is_logged_counted_or_traced(watched: Served, collector: Collector):
    key = issue_token(SECRET.encode(), "ann-of-the-log", ttl=TTL)
    converse(watched.url, key)
    sent = speak_everywhere(watched.url, key)
    shout(watched.url)
    metrics = get(f"{watched.url}/metrics", headers=SCRAPER).text
    watched.stop()
    log = watched.log()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["logger"] == "hansard.requests" and line["message"] == "request"]
    assert len(requests) > sent
    assert "ann-of-the-log" in {line["user_id"] for line in requests}
    assert {line["level"] for line in requests} == {"info"}
    assert len({line["trace_id"] for line in requests}) == len(requests)
    refused = [line for line in lines if line["message"] == "no request"]
    assert refused
    told = {name for line in refused for name in line}
    assert told == {"time", "level", "logger", "message", "request_id", "status"}
    # Apart from the greeting every line is JSON.
    assert len(log.splitlines()) == len(lines) + 1
    traced = collector.received.decode("latin-1")
    for secret in (MARKER, key, key.rpartition(".")[2], TOKEN, SECRET):
        assert secret not in log
        assert secret not in metrics
        assert secret not in traced
    # Metrics and traces do not even say who.
    assert "ann-of-the-log" not in metrics + traced
    assert "conv_" not in metrics + traced
    check_metrics(metrics)
    check_traces(collector)


def check_metrics(metrics: str) -> None:
    lines = set(metrics.splitlines())
    assert 'hansard_turns_total{status="completed"} 2.0' in lines
    assert "hansard_turns_running 0.0" in lines
    appended = next(line for line in lines if line.startswith("hansard_items_appended_total"))
    # One at first and one more, a question and its answer with a tool's call and output, another and its answer.
    assert float(appended.split()[1]) >= 8
    for sample in (
        'hansard_http_requests_total{method="_OTHER",route="unmatched",status="404"} ',
        'hansard_http_requests_total{method="POST",route="/v1/conversations/{conversation_id}/items",status="200"} 1.0',
        'hansard_http_answer_seconds_count{method="GET",route="/v1/search"}',
        'hansard_store_seconds_bucket{le="+Inf",operation="items.append"} 1.0',
        'hansard_store_errors_total{error="NotFound",operation="conversations.get"}',
    ):
        assert any(line.startswith(sample) for line in lines), sample


def check_traces(collector: Collector) -> None:
    for resource in collector.resources:
        assert attributes(resource.resource)["service.name"] == "the-clerk"
    for span in collector.spans:
        assert set(attributes(span)) <= SAYABLE
        assert not span.events
        assert not span.status.message
    [append] = collector.named("items.append")
    [request] = collector.named("POST /v1/conversations/{conversation_id}/items")[:1]
    assert append.parent_span_id == request.span_id
    assert append.trace_id == request.trace_id
    # A turn goes on behind the request that began it, in its trace.
    traces = {span.trace_id for span in collector.named("POST /v1/responses")}
    assert {span.trace_id for span in collector.named("turns.end")} <= traces


def test_a_request_is_part_of_the_trace_it_came_with(
    sqlite_url: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    theirs = "4bf92f3577b34da6a3ce929d0e0e4736"
    with serving(settings_for(sqlite_url).model_copy(update={"tracing": True})) as live:
        headers = {"traceparent": f"00-{theirs}-00f067aa0ba902b7-01"}
        assert live.newcomer().http.get("/api/tasks", headers=headers).status_code == 200
    ours = [span for span in collector.spans if span.trace_id.hex() == theirs]
    assert {span.name for span in ours} == {"GET /api/tasks", "tasks.list"}


def test_what_browsers_ask_beforehand_is_counted_too(sqlite_url: str):
    settings = settings_for(sqlite_url).model_copy(
        update={"metrics_token": SecretStr(TOKEN), "cors_origins": ("https://chat.example.com",)}
    )
    with serving(settings) as live:
        for origin in ("https://chat.example.com", "https://elsewhere.example.com"):
            asks = {"origin": origin, "access-control-request-method": "POST"}
            request("OPTIONS", f"{live.url}/v1/conversations", headers=asks)
        metrics = get(f"{live.url}/metrics", headers=SCRAPER).text
    for status in (200, 403):
        assert f'hansard_http_requests_total{{method="OPTIONS",route="unmatched",status="{status}"}} 1.0' in metrics


def test_metrics_are_for_who_holds_their_token(sqlite_server: LiveServer, sqlite_url: str):
    off = sqlite_server.newcomer().http.get("/metrics", headers=SCRAPER)
    assert (off.status_code, off.json()["error"]["code"]) == (404, "unknown_url")
    settings = settings_for(sqlite_url).model_copy(update={"metrics_token": SecretStr(TOKEN)})
    with serving(settings) as live:
        ann = live.newcomer()
        for key in (ann.key, TOKEN[:-1], f"{TOKEN}x"):
            assert get(f"{live.url}/metrics", headers={"authorization": f"Bearer {key}"}).status_code == 401
        no_ascii = get(f"{live.url}/metrics", headers={b"authorization": b"Bearer \xe9"})
        assert no_ascii.status_code == 401
        assert get(f"{live.url}/metrics").status_code == 401
        allowed = get(f"{live.url}/metrics", headers=SCRAPER)
        assert allowed.status_code == 200
        assert allowed.headers["content-type"].startswith("text/plain; version=0.0.4")
        # It opens nothing else.
        assert get(f"{live.url}/v1/conversations", headers=SCRAPER).status_code == 401


def test_what_a_process_had_is_forgotten_also_when_its_number_is_somebody_elses_by_now(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr("os.kill", refuse)
    (tmp_path / "gauge_livesum_1.db").touch()
    _forget_the_dead(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "module, turned_on, named",
    [
        ("prometheus_client", {"metrics_token": TOKEN, "tracing": False}, "metrics"),
        ("opentelemetry", {"metrics_token": None, "tracing": True}, "otel"),
    ],
)
def test_what_needs_an_extra_says_so(
    monkeypatch: pytest.MonkeyPatch, module: str, turned_on: dict[str, Any], named: str
):
    for loaded in ("hansard.api.metrics", "hansard.api.tracing"):
        monkeypatch.delitem(sys.modules, loaded, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"hansard\[{named}\]"):
        Instruments(**turned_on, database="sqlite")


def test_a_failed_task_is_logged_without_its_exceptions_text():
    message = f"Task exception was never retrieved\nfuture: <Task exception=ValueError('{MARKER}')>"
    error = ValueError(MARKER)
    record = logging.LogRecord("asyncio", logging.ERROR, __file__, 1, message, (), (ValueError, error, None))
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["error"]) == ("Task exception was never retrieved", "ValueError")
    assert MARKER not in json.dumps(line)
