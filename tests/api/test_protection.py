"""What the operator may turn on: limits for users, and doors for pages of other origins."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from fastapi import FastAPI

from hansard.api.rate_limit import spell_duration
from hansard.config import Settings
from tests.api.live import LiveServer, serving, settings_for
from tests.support.calls import get, request

OURS, THEIRS = "https://chat.example.com", "https://elsewhere.example.com"


def settings_with(database_url: str, **more: object) -> Settings:
    return settings_for(database_url).model_copy(update=more)


@pytest.fixture(scope="module")
def module_url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("protection") / "hansard.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


def misbehave(app: FastAPI) -> None:
    @app.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError


@pytest.fixture(scope="module")
def limited(module_url: str) -> Iterator[LiveServer]:
    """A server on which each user has three requests at once, and then one a minute."""
    settings = settings_with(module_url, rate_limit="60/hour burst 3", cors_origins=(OURS,))
    with serving(settings, prepare=misbehave) as live:
        yield live


def test_a_user_who_asks_too_often_is_told_how_long_to_wait(limited: LiveServer):
    ann, bob = limited.newcomer(), limited.newcomer()
    allowed = [ann.http.get("/v1/conversations") for _ in range(3)]
    assert bob.http.get("/v1/conversations").headers["x-ratelimit-remaining-requests"] == "2"
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in allowed] == ["2", "1", "0"]
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in allowed} == {"3"}
    refused = ann.http.post("/v1/conversations", content=b"{never read", headers={"content-type": "application/json"})
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("rate_limit_exceeded", "rate_limit_exceeded", None)
    assert refused.headers["x-should-retry"] == "true"
    assert 0 < int(refused.headers["retry-after-ms"]) <= 1000 * int(refused.headers["retry-after"]) <= 60_000
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")
    assert bob.http.get("/v1/conversations").status_code == 200


def test_who_is_nobody_is_neither_counted_nor_limited(limited: LiveServer):
    strangers = [get(f"{limited.url}/v1/conversations", headers={"authorization": "Bearer x"}) for _ in range(6)]
    assert {answer.status_code for answer in strangers} == {401}
    assert {get(f"{limited.url}/healthz").status_code for _ in range(6)} == {200}


def test_the_sdk_waits_as_long_as_it_is_told_and_gets_through(module_url: str):
    statuses = []
    with serving(settings_with(module_url, rate_limit="1/second")) as live:
        client = openai.DefaultHttpxClient(
            event_hooks={"response": [lambda answer: statuses.append(answer.status_code)]}
        )
        with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.newcomer().key, http_client=client) as sdk:
            while 429 not in statuses:
                assert sdk.conversations.create().id
    # One wait was enough, because it was as long as it was told.
    assert statuses[-2:] == [429, 200]


@pytest.mark.parametrize(
    "seconds, spelled", [(0, "0ms"), (0.0012, "2ms"), (1, "1s"), (59.2, "1m0s"), (360, "6m0s"), (3600, "1h0m0s")]
)
def test_durations_are_spelled_as_in_openais_headers(seconds: float, spelled: str):
    assert spell_duration(seconds) == spelled


def preflight(server: LiveServer, origin: str, path: str = "/v1/conversations", method: str = "POST") -> httpx.Response:
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,idempotency-key,x-stainless-lang",
    }
    return request("OPTIONS", f"{server.url}{path}", headers=headers)


def test_a_page_of_a_named_origin_may_call_and_read_the_api(limited: LiveServer):
    for path, method in [("/v1/conversations", "POST"), ("/v1/conversations/conv_1", "DELETE"), ("/nowhere", "GET")]:
        allowed = preflight(limited, OURS, path, method)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == OURS
        assert method in allowed.headers["access-control-allow-methods"]
        assert "idempotency-key" in allowed.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in allowed.headers
        assert allowed.headers["x-request-id"]
        assert allowed.headers["x-content-type-options"] == "nosniff"
    dan = limited.newcomer()
    for path, status in [("/v1/conversations", 200), ("/v1/conversations/c", 404), ("/nowhere", 404), ("/bug", 500)]:
        answer = dan.http.get(path, headers={"origin": OURS})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == OURS
        assert "access-control-allow-credentials" not in answer.headers
        exposed = answer.headers["access-control-expose-headers"]
        assert {"x-request-id", "retry-after-ms", "x-ratelimit-remaining-requests"} <= set(exposed.split(", "))
        assert "origin" in answer.headers["vary"].lower()


def test_pages_of_other_origins_are_kept_out(limited: LiveServer, sqlite_server: LiveServer):
    for origin in (THEIRS, f"{OURS}.evil.example", OURS.replace("https", "http"), "null"):
        refused = preflight(limited, origin)
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "origin_not_allowed"
        assert "access-control-allow-origin" not in refused.headers
        assert (
            "access-control-allow-origin"
            not in limited.newcomer().http.get("/v1/conversations", headers={"origin": origin}).headers
        )
    # Where nothing is set there is no such thing as a preflight.
    closed = preflight(sqlite_server, OURS)
    assert closed.status_code == 405
    assert not any(name.startswith("access-control") for name in closed.headers)
