"""Whatever a model's server does wrong ends the answer in time, keeps what was said and tells why, and no more."""

import json
import logging
import socket
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import pytest
import pytest_asyncio

from hansard.agents.protocol import Outcome
from hansard.agents.upstream import endpoint, sse
from hansard.agents.upstream import refusal as refusals
from hansard.agents.upstream.endpoint import Limits
from tests.support.ports import Port
from tests.support.scripted_upstream import (
    USAGE,
    Answer,
    Exchange,
    ScriptedUpstream,
    chat_stream,
    refusal,
    responses_message,
    responses_stream,
    scripted_upstream,
    stream,
)
from tests.support.upstream_talk import APIS, KEY, PATIENT, RESPONSES, Api, agent_of, asking, be_heard, hear, let_pass

HALF = "Half an answer"


@pytest.fixture(params=APIS, ids=str)
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as found:
        yield found


def begun(api: Api) -> list[dict[str, Any]]:
    """An answer in the middle of its text."""
    events = api.message(HALF)
    return events[:5] if api is RESPONSES else events


def after_the_half(api: Api, then: Answer) -> Answer:
    async def answer(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.events(begun(api))
        await then(exchange)

    return answer


async def ends(exchange: Exchange) -> None:
    await exchange.end()


async def breaks_off(exchange: Exchange) -> None:
    exchange.abort()


async def stalls(exchange: Exchange) -> None:
    await be_heard()
    let_pass(PATIENT.silence)
    await exchange.asked.gone.wait()


async def sends_rubbish(exchange: Exchange) -> None:
    await exchange.write(b"data: {not json\n\n")


async def sends_a_list(exchange: Exchange) -> None:
    await exchange.write(b"data: [1]\n\n")


async def sends_nan(exchange: Exchange) -> None:
    await exchange.write(b'data: {"choices": NaN}\n\n')


async def sends_latin_1(exchange: Exchange) -> None:
    await exchange.write('data: {"text": "Grüße"}\n\n'.encode("latin-1"))


async def sends_bad_chunks(exchange: Exchange) -> None:
    await exchange.raw(b"zz\r\nnonsense")


async def sends_an_error(exchange: Exchange) -> None:
    await exchange.events([{"error": {"message": f"Overloaded. Key {KEY}, request\n7", "code": "server_error"}}])


@pytest.mark.parametrize(
    "then,why",
    [
        (ends, "broke off"),
        (breaks_off, "broke off"),
        (stalls, "silent for 30 seconds"),
        (sends_rubbish, "not a JSON object"),
        (sends_a_list, "not a JSON object"),
        (sends_nan, "not a JSON object"),
        (sends_latin_1, "not UTF-8"),
        (sends_bad_chunks, "broke off"),
        (sends_an_error, "ended its answer with an error: Overloaded. Key …, request 7"),
    ],
)
async def test_what_was_said_is_kept_and_why_it_ended_is_told(
    server: ScriptedUpstream, api: Api, then: Answer, why: str
):
    server.on(api.path, after_the_half(api, then))
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, asking())
    assert why in heard.why
    assert KEY not in heard.why
    assert heard.texts == [heard.deltas()]
    assert heard.texts[0]
    assert HALF.startswith(heard.texts[0])
    assert [item["status"] for item in heard.output] == ["incomplete"]


async def does_not_answer(exchange: Exchange) -> None:
    let_pass(PATIENT.first_byte)
    await exchange.asked.gone.wait()


async def hangs_up(exchange: Exchange) -> None:
    exchange.abort()


async def answers_html(exchange: Exchange) -> None:
    await exchange.head(content_type="text/html; charset=utf-8")
    await exchange.write(b"<html>Sign in</html>")
    await exchange.end()


async def answers_json(exchange: Exchange) -> None:
    await exchange.head(content_type="application/json")
    await exchange.write(b'{"object": "response", "output": []}')
    await exchange.end()


async def speaks_another_protocol(exchange: Exchange) -> None:
    await exchange.raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


@pytest.mark.parametrize(
    "answer,why",
    [
        (does_not_answer, "did not answer for 30 seconds"),
        (hangs_up, "closed the connection without an answer"),
        (speaks_another_protocol, "closed the connection without an answer"),
        (answers_html, "did not answer with a stream of events"),
        (answers_json, "did not answer with a stream of events"),
        (refusal(302, location="http://127.0.0.1:9/steal"), "a redirect, which is not followed (302)"),
        (refusal(307, location="/v1/elsewhere"), "a redirect, which is not followed (307)"),
        (refusal(401, {"message": f"Incorrect API key provided: {KEY}"}), "does not accept this service's key (401)"),
        (refusal(403, {"message": "organization org-secret"}), "does not accept this service's key (403)"),
        (
            refusal(400, {"message": f"max\x00 is too large {KEY}\nsee sk-proj-abcdef"}),
            "(400): max is too large … see …",
        ),
        (refusal(422, {"message": "x" * 10_000}), "x…"),
        (refusal(413, None), "refused the request (413)."),
        (refusal(500, {"message": "stack trace of theirs"}), "answered with an error (500)."),
        (refusal(503, {"message": "stack trace of theirs"}), "too busy; try again later (503)."),
        (stream([], done=False), "broke off"),
    ],
)
async def test_an_answer_that_never_begins_says_why(server: ScriptedUpstream, api: Api, answer: Answer, why: str):
    server.on(api.path, answer)
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, asking())
    assert why in heard.why
    assert len(heard.why) < 700
    assert not {KEY, "org-secret", "theirs"} & set(heard.why.split())
    assert (len(server.asked), heard.output) == (1, [])


async def test_nobody_there(api: Api):
    nobodys = Port()
    async with agent_of(ScriptedUpstream(nobodys.number), api.name) as agent:
        assert "cannot be reached" in (await hear(agent, asking())).why


async def test_a_server_that_takes_no_connection_is_given_up_in_time(api: Api):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(("127.0.0.1", port))
            server = ScriptedUpstream(port)
            async with agent_of(server, api.name, limits=Limits(connect=0.2, first_byte=5)) as agent:
                assert "cannot be reached" in (await hear(agent, asking())).why


async def test_a_server_that_only_pings_is_alive_until_the_time_for_the_answer_is_over(
    server: ScriptedUpstream, api: Api
):
    async def pinging(exchange: Exchange) -> None:
        await exchange.head()
        while not exchange.asked.gone.is_set():
            await exchange.write(b": ping\n\n")
            await be_heard()
            let_pass(PATIENT.silence * 0.6)

    server.on(api.path, pinging)
    async with agent_of(server, api.name) as agent:
        assert "took longer than 120 seconds" in (await hear(agent, asking())).why
        await server.asked[0].gone.wait()


async def test_an_event_without_end_is_not_gathered(server: ScriptedUpstream, api: Api, monkeypatch):
    async def endless(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.write(b"data: ")
        while not exchange.asked.gone.is_set():
            await exchange.write(b"x" * 65536)

    monkeypatch.setattr(sse.EventReader.__init__, "__kwdefaults__", {"most_bytes": 1_000_000})
    server.on(api.path, endless)
    async with agent_of(server, api.name) as agent:
        assert "an event of more than 1000000 bytes" in (await hear(agent, asking())).why


async def test_an_answer_without_end_is_broken_off(server: ScriptedUpstream, monkeypatch):
    async def endless(exchange: Exchange) -> None:
        await exchange.head()
        while not exchange.asked.gone.is_set():
            await exchange.write(b": " + b"x" * 65536 + b"\n\n")

    monkeypatch.setattr(endpoint, "MOST_ANSWER_BYTES", 1_000_000)
    server.on("responses", endless)
    async with agent_of(server) as agent:
        assert "sent more than 1000000 bytes" in (await hear(agent, asking())).why


@pytest.mark.parametrize("wait", [{"retry_after": "0.01"}, {"retry_after_ms": "10"}, {"retry_after": "0"}, "date"])
async def test_a_busy_server_is_asked_again_when_it_says_so(server: ScriptedUpstream, api: Api, wait: Any):
    headers = {"retry_after": formatdate(usegmt=True)} if wait == "date" else wait
    server.on(api.path, refusal(429, **headers), refusal(503, **headers), stream(api.whole(api.message("x"))))
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, asking())
    assert (heard.texts, len(server.asked)) == (["x"], 3)


@pytest.mark.parametrize(
    "headers,tries",
    [
        ({"retry_after": "0"}, 1 + refusals.MOST_RETRIES),
        ({"retry_after": "31"}, 1),
        ({"retry_after": "1e400"}, 1),
        ({"retry_after": "0", "x_should_retry": "false"}, 1),
    ],
)
async def test_but_not_for_ever_and_not_for_long(
    server: ScriptedUpstream, api: Api, headers: Any, tries: int, monkeypatch
):
    # Without a usable word of the server's the pause is ours.
    monkeypatch.setattr(refusals, "LONGEST_PAUSE", 0.5)
    busy = refusal(429, {"message": "Rate limit of org-secret"}, **headers)
    server.on(api.path, *[busy] * 5)
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, asking())
    assert heard.outcome == Outcome.failed(
        "The model's server is too busy; try again later (429).", code="rate_limit_exceeded"
    )
    assert len(server.asked) == tries


async def test_an_answer_that_has_begun_is_never_asked_for_again(server: ScriptedUpstream, api: Api):
    server.on(api.path, after_the_half(api, breaks_off), stream(api.whole(api.message("again"))))
    async with agent_of(server, api.name) as agent:
        await hear(agent, asking())
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "error,expected",
    [
        ({"code": "rate_limit_exceeded", "message": "Slow down"}, ("rate_limit_exceeded", ": Slow down")),
        ({"code": "made_up", "message": "Odd"}, ("server_error", ": Odd")),
        ({"code": ["x"], "message": {"a": 1}}, ("server_error", "with an error.")),
        (None, ("server_error", "with an error.")),
        ("text", ("server_error", ": text")),
    ],
)
async def test_a_response_that_failed_over_there_failed_with_its_reason_and_its_tokens(
    server: ScriptedUpstream, error: Any, expected: tuple[str, str]
):
    server.on("responses", stream(responses_stream(responses_message("x"), end="failed", error=error)))
    async with agent_of(server) as agent:
        heard = await hear(agent, asking())
    assert heard.outcome
    assert heard.outcome.error
    assert (heard.outcome.status, heard.outcome.usage) == ("failed", USAGE)
    code, message = expected
    assert heard.outcome.error["code"] == code
    assert heard.why.endswith(message)


async def test_what_breaks_after_the_end_takes_nothing_away(server: ScriptedUpstream):
    async def done_and_gone(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.events(chat_stream([{"choices": [{"delta": {"content": "x"}}]}])[:-1])
        exchange.abort()

    server.on("chat/completions", done_and_gone)
    async with agent_of(server, "chat") as agent:
        heard = await hear(agent, asking())
    assert heard.texts == ["x"]
    assert heard.outcome == Outcome("completed")


NONSENSE: list[Any] = [
    {"type": "response.output_text.delta", "output_index": 3, "content_index": 0, "delta": "x"},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": 7},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": [], "delta": "x"},
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message"}},
    {"type": "response.output_item.added", "output_index": 1, "item": "message"},
    {"type": "response.output_item.added", "output_index": 1, "item": {"type": 5}},
    {"type": "response.output_item.added", "output_index": "one", "item": {"type": "message"}},
    {"type": "response.output_item.done", "item": {"type": "message"}},
    {"type": "response.output_item.done", "output_index": 1, "item": {"type": "function_call", "name": "f"}},
    {"type": "response.content_part.added", "output_index": 0, "part": {}},
    {"type": ["response.completed"]},
    {"no": "type"},
]


@pytest.mark.parametrize("event", NONSENSE, ids=str)
async def test_an_event_that_makes_no_sense_ends_the_answer(server: ScriptedUpstream, event: Any):
    async def nonsense(exchange: Exchange) -> None:
        await exchange.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        await exchange.end()

    server.on("responses", after_the_half(RESPONSES, nonsense))
    async with agent_of(server) as agent:
        heard = await hear(agent, asking())
    assert "sent an event" in heard.why
    assert len(heard.output) == 1


async def test_the_log_has_the_reason_and_neither_key_nor_content(
    server: ScriptedUpstream, caplog: pytest.LogCaptureFixture
):
    server.on("responses", refusal(400, {"message": f"Cannot read 'my secret diary' with {KEY}"}))
    with caplog.at_level(logging.DEBUG, logger="hansard"):
        async with agent_of(server) as agent:
            heard = await hear(agent, asking("my secret diary"))
    assert "my secret diary" in heard.why
    [record] = [record for record in caplog.records if record.name.startswith("hansard")]
    assert vars(record)["reason"] == "The model's server refused the request (400)."
    assert not any(secret in str(vars(record)) for secret in (KEY, "diary"))
