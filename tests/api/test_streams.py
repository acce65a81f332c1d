"""Streams of turns, as the official SDK and bare HTTP see them: in order, resumable, and independent of the client."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from hansard.agents.offline import OfflineAssistant
from hansard.agents.protocol import AgentRequest, Event, Outcome
from tests.api.live import LiveServer, Person, serving, settings_for

# Of the events of a long answer, the one at which it may stop.
IN_THE_MIDDLE = 40


@pytest.fixture(scope="module")
def slow_server(database_url: str) -> Iterator[LiveServer]:
    """A server whose assistant takes its time, so that there is something to interrupt."""
    with serving(settings_for(database_url, pace=0.01)) as live:
        yield live


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set this for long answers to go on: meanwhile they stop in the middle, and no machine is too slow for them."""
    may, answer = threading.Event(), OfflineAssistant.answer

    async def halting(self: OfflineAssistant, request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        number = 0
        async with contextlib.aclosing(answer(self, request)) as stream:
            async for said in stream:
                number += 1
                if number == IN_THE_MIDDLE:
                    await asyncio.to_thread(may.wait)
                yield said

    monkeypatch.setattr(OfflineAssistant, "answer", halting)
    yield may
    may.set()


@pytest.fixture
def eve(slow_server: LiveServer) -> Person:
    return slow_server.newcomer()


def ended(person: Person, response_id: str) -> Any:
    """The response when it has ended: its stream ends then."""
    events: list[Any] = list(person.sdk.responses.retrieve(response_id, stream=True))
    return events[-1].response


def items(person: Person, home: str) -> list[Any]:
    return list(person.sdk.conversations.items.list(home, order="asc"))


def test_events_come_in_the_order_of_the_api_and_end_with_the_response_that_is_stored(ann: Person):
    home = ann.sdk.conversations.create().id
    events: list[Any] = list(ann.sdk.responses.create(input="add buy milk", conversation=home, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [event.type for event in events]
    assert types[:2] == ["response.created", "response.in_progress"]
    call, output, message = (index for index, type_ in enumerate(types) if type_ == "response.output_item.added")
    assert types[call : call + 4] == [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    assert types[output : output + 2] == ["response.output_item.added", "response.output_item.done"]
    assert types[message : message + 2] == ["response.output_item.added", "response.content_part.added"]
    assert set(types[message + 2 : -4]) == {"response.output_text.delta"}
    assert types[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert ann.sdk.responses.retrieve(events[-1].response.id) == events[-1].response
    assert [item.id for item in items(ann, home)[1:]] == [item.id for item in events[-1].response.output]


def test_the_helper_of_the_sdk_gathers_the_text(ann: Person):
    with ann.sdk.responses.stream(model="offline", input="add buy milk") as stream:
        said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == said


def test_the_stream_is_plain_server_sent_events(ann: Person):
    with ann.http.stream("POST", "/v1/responses", json={"input": "hello", "stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        text = answer.read().decode("ascii")
    for number, block in enumerate(text.strip().split("\n\n")):
        id_, event, data = block.split("\n")
        assert id_ == f"id: {number}"
        assert event == f"event: {json.loads(data[6:])['type']}"
        assert json.loads(data[6:])["sequence_number"] == number


def test_every_stream_is_resumed_after_any_event_and_by_either_name_of_it(ann: Person):
    events: list[Any] = list(ann.sdk.responses.create(input="add buy milk", stream=True))
    response_id = events[0].response.id
    for after in (0, 1, 7, len(events) - 2, len(events) - 1, len(events) + 50):
        assert list(ann.sdk.responses.retrieve(response_id, stream=True, starting_after=after)) == events[after + 1 :]
        seen = {"Last-Event-ID": str(after)}
        # A browser that comes back asks for the same address again, whatever it said the first time.
        by_header = ann.sdk.responses.retrieve(response_id, stream=True, starting_after=0, extra_headers=seen)
        assert list(by_header) == events[after + 1 :]


@pytest.mark.parametrize("wrong", ["starting_after=-1", "starting_after=x", f"starting_after={10**19}"])
def test_a_place_that_cannot_be_is_refused(ann: Person, wrong: str):
    made = ann.sdk.responses.create(input="hello")
    answer = ann.http.get(f"/v1/responses/{made.id}?stream=true&{wrong}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "starting_after")
    answer = ann.http.get(f"/v1/responses/{made.id}?stream=true", headers={"last-event-id": "first"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "last-event-id")


@pytest.mark.parametrize("events", [0, 1, 20])
def test_the_reply_is_complete_although_the_client_left(eve: Person, events: int):
    home = eve.sdk.conversations.create().id
    body = json.dumps({"input": "help", "conversation": home, "stream": True})
    where = urlsplit(str(eve.http.base_url))
    assert where.port
    with socket.create_connection((where.hostname, where.port)) as connection:
        head = [
            "POST /v1/responses HTTP/1.1",
            f"host: {where.netloc}",
            f"authorization: {eve.http.headers['authorization']}",
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]
        connection.sendall("\r\n".join([*head, "", body]).encode())
        seen = b""
        while seen.count(b"\nevent: ") < events:
            seen += connection.recv(65536)
    while not items(eve, home):
        pass  # the request itself may still be on its way
    turn = eve.sdk.responses.create(input="hello", conversation=home, extra_headers={"x-hansard-on-conflict": "wait"})
    said = items(eve, home)
    assert turn.status == "completed"
    assert [item.role for item in said] == ["user", "assistant"] * 2
    assert said[1].status == "completed"
    assert len(said[1].content[0].text.split()) > 100


def test_the_reply_is_there_although_the_client_left_at_the_last_event(eve: Person):
    home = eve.sdk.conversations.create().id
    with eve.http.stream("POST", "/v1/responses", json={"input": "hi", "conversation": home, "stream": True}) as answer:
        for line in answer.iter_lines():
            if line == "event: response.output_item.done":
                break
    assert [item.role for item in wait_for_turn(eve, home)] == ["user", "assistant"] * 2


def wait_for_turn(person: Person, home: str) -> list[Any]:
    headers = {"x-hansard-on-conflict": "wait"}
    person.sdk.responses.create(input="hello", conversation=home, extra_headers=headers)
    return items(person, home)


def test_a_second_client_joins_a_running_stream_and_misses_nothing(eve: Person):
    stream: Any = eve.sdk.responses.create(input="help", stream=True)
    first = [next(stream) for _ in range(30)]
    joined: list[Any] = []
    joining = threading.Thread(
        target=lambda: joined.extend(eve.sdk.responses.retrieve(first[0].response.id, stream=True, starting_after=9))
    )
    joining.start()
    rest = list(stream)
    joining.join()
    assert joined == (first + rest)[10:]


def test_background_answers_at_once_and_runs_on(eve: Person):
    response = eve.sdk.responses.create(input="help", background=True)
    assert (response.status, response.background, response.output) == ("in_progress", True, [])
    done = ended(eve, response.id)
    assert done.status == "completed"
    assert eve.sdk.responses.retrieve(response.id) == done


def test_stop_keeps_what_was_said_and_other_readers_see_the_end(eve: Person, go_on: threading.Event):
    home = eve.sdk.conversations.create().id
    stream: Any = eve.sdk.responses.create(input="help", conversation=home, stream=True)
    first = [next(stream) for _ in range(20)]
    stopped = eve.sdk.responses.cancel(first[0].response.id)
    assert stopped.status == "cancelled"
    assert stopped.output_text
    events = first + list(stream)
    assert (events[-1].type, events[-1].response) == ("response.incomplete", stopped)
    assert list(eve.sdk.responses.retrieve(stopped.id, stream=True)) == events
    assert eve.sdk.responses.cancel(stopped.id) == stopped
    [_, said] = items(eve, home)
    assert (said.status, said.content[0].text) == ("incomplete", stopped.output_text)
    go_on.set()
    assert eve.sdk.responses.create(input="hello", conversation=home).status == "completed"


def test_a_second_turn_is_refused_in_the_words_of_the_api_or_waits_when_it_asks_to(eve: Person, go_on: threading.Event):
    home = eve.sdk.conversations.create().id
    first = eve.sdk.responses.create(input="help", conversation=home, background=True)
    with pytest.raises(openai.BadRequestError) as refused:
        eve.sdk.responses.create(input="hello", conversation=home)
    assert (refused.value.code, refused.value.param) == ("conversation_locked", "conversation")
    go_on.set()
    headers = {"X-Hansard-On-Conflict": "wait"}
    assert eve.sdk.responses.create(input="hello", conversation=home, extra_headers=headers).status == "completed"
    assert ended(eve, first.id).status == "completed"
    assert [item.role for item in items(eve, home)] == ["user", "assistant"] * 2
    answer = eve.http.post("/v1/responses", json={"input": "x"}, headers={"x-hansard-on-conflict": "perhaps"})
    assert answer.status_code == 400


@pytest.mark.usefixtures("go_on")
def test_two_tabs_that_send_at_once_begin_one_turn(eve: Person):
    home = eve.sdk.conversations.create().id
    barrier = threading.Barrier(4)
    outcomes: list[str] = []

    def send() -> None:
        barrier.wait()
        body = {"input": "help", "conversation": home, "background": True}
        answer = eve.http.post("/v1/responses", json=body).json()
        outcomes.append(answer.get("status") or answer["error"]["code"])

    tabs = [threading.Thread(target=send) for _ in range(4)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert sorted(outcomes) == ["conversation_locked"] * 3 + ["in_progress"]
    assert [item.role for item in items(eve, home)][:1] == ["user"]


def test_a_repeated_request_joins_its_turn_and_later_replays_it(eve: Person):
    home = eve.sdk.conversations.create().id
    asked: Any = {"input": "help", "conversation": home, "stream": True, "extra_headers": {"Idempotency-Key": "k"}}
    stream: Any = eve.sdk.responses.create(**asked)
    first = [next(stream) for _ in range(10)]
    joined = list(eve.sdk.responses.create(**asked))
    assert joined == first + list(stream)
    assert list(eve.sdk.responses.create(**asked)) == joined
    with pytest.raises(openai.BadRequestError) as refused:
        eve.sdk.responses.create(**{**asked, "input": "hello"})
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert len(items(eve, home)) == 2


def test_a_key_without_storage_is_refused(ann: Person):
    with pytest.raises(openai.BadRequestError, match="needs 'store'"):
        ann.sdk.responses.create(input="hello", store=False, extra_headers={"Idempotency-Key": "k"})
    with pytest.raises(openai.BadRequestError, match="needs 'store'"):
        ann.sdk.responses.create(input="hello", store=False, background=True)


def test_a_stream_that_is_not_stored_is_streamed_all_the_same(ann: Person):
    events: list[Any] = list(ann.sdk.responses.create(input="add buy milk", store=False, stream=True))
    assert events[-1].type == "response.completed"
    with pytest.raises(openai.NotFoundError):
        ann.sdk.responses.retrieve(events[0].response.id)


def test_a_conversation_goes_on_from_its_newest_response_only(ann: Person):
    first = ann.sdk.responses.create(input="add buy milk")
    second = ann.sdk.responses.create(input="what's left?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.conversation == first.conversation
    assert "“buy milk”" in second.output_text
    with pytest.raises(openai.BadRequestError) as refused:
        ann.sdk.responses.create(input="hello", previous_response_id=first.id)
    assert refused.value.code == "previous_response_not_newest"
    assert first.conversation
    assert len(items(ann, first.conversation.id)) == 4 + 4


def test_input_items_are_those_of_the_request_page_by_page(ann: Person):
    home = ann.sdk.conversations.create(items=[{"role": "user", "content": "before"}]).id
    asked: Any = [{"role": "user", "content": f"{number}"} for number in range(25)]
    response = ann.sdk.responses.create(input=asked, conversation=home)
    orders: list[tuple[Any, range]] = [("asc", range(25)), ("desc", range(24, -1, -1))]
    for order, expected in orders:
        listed: list[Any] = list(ann.sdk.responses.input_items.list(response.id, limit=10, order=order))
        assert [item.content[0].text for item in listed] == [str(number) for number in expected]
        assert {item.id for item in listed} < {item.id for item in items(ann, home)}
    answer = ann.http.get(f"/v1/responses/{response.id}/input_items?after=msg_nonsense")
    assert answer.status_code == 404


def test_a_deleted_response_is_gone_and_its_items_stay(ann: Person):
    home = ann.sdk.conversations.create().id
    response = ann.sdk.responses.create(input="hello", conversation=home)
    ann.sdk.responses.delete(response.id)
    for call in (ann.sdk.responses.retrieve, ann.sdk.responses.delete, ann.sdk.responses.cancel):
        with pytest.raises(openai.NotFoundError):
            call(response.id)
    assert len(items(ann, home)) == 2


def test_a_foreign_response_looks_like_one_that_is_missing(ann: Person, bob: Person):
    foreign = ann.sdk.responses.create(input="hello").id
    gone = f"resp_{'0' * 48}"
    paths = [("GET", ""), ("GET", "?stream=true"), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")]
    for method, path in paths:
        errors = set()
        for named in (foreign, gone, "resp_nonsense"):
            answer = bob.http.request(method, f"/v1/responses/{named}{path}")
            assert answer.status_code == 404
            errors.add(answer.text.replace(named, "…"))
        assert len(errors) == 1
    assert ann.sdk.responses.retrieve(foreign).status == "completed"
