"""The live view tells everybody who looks at a conversation what happens in it: once, in order, from any point on."""

import asyncio
import contextlib
import json
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from hansard.agents.offline import OfflineAssistant
from hansard.agents.protocol import AgentRequest, Event, Outcome
from tests.api.live import LiveServer, Person, serving, settings_for


class View:
    """Somebody who follows a conversation."""

    def __init__(
        self, person: Person, home: str, after: str | None = None, *, last_event_id: str | None = None
    ) -> None:
        self.events: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.status: queue.Queue[int] = queue.Queue()
        self._http = httpx.Client(
            base_url=person.http.base_url, headers=dict(person.http.headers), timeout=60, verify=False
        )
        self._path = f"/v1/conversations/{home}/events" + ("" if after is None else f"?after={after}")
        self._headers = {} if last_event_id is None else {"last-event-id": last_event_id}
        self._leave = lambda: person.http.delete(f"/v1/conversations/{home}")
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def close(self) -> None:
        """Delete the conversation: then every view of it ends by itself."""
        self._leave()
        self._thread.join()
        self._http.close()

    def next(self) -> tuple[str, dict[str, Any]]:
        return self.events.get(timeout=30)

    def until(self, type_: str) -> list[tuple[str, dict[str, Any]]]:
        found = [self.next()]
        while found[-1][1]["type"] != type_:
            found.append(self.next())
        return found

    def _read(self) -> None:
        with self._http.stream("GET", self._path, headers=self._headers) as answer:
            self.status.put(answer.status_code)
            id_ = ""
            for line in answer.iter_lines():
                field, _, value = line.partition(": ")
                if field == "id":
                    id_ = value
                if field == "data":
                    self.events.put((id_, json.loads(value)))


@pytest.fixture(scope="module")
def elsewhere(database_url: str) -> Iterator[LiveServer]:
    """Another process in front of the same database, as far as the first can tell."""
    with serving(settings_for(database_url)) as live:
        yield live


@pytest.fixture
def look() -> Iterator[Callable[..., View]]:
    """Follow conversations until the test ends."""
    with contextlib.ExitStack() as stack:

        def follow(*args: Any, **kwargs: Any) -> View:
            view = View(*args, **kwargs)
            stack.callback(view.close)
            return view

        yield follow


@pytest.fixture
def converse(monkeypatch: pytest.MonkeyPatch) -> Callable[[View, Callable[[], Any]], tuple[list[Any], Any]]:
    """Ask, and answer when the view has told of it: of a turn that ends between two looks it tells the items alone."""
    seen, answer = threading.Event(), OfflineAssistant.answer

    async def wait(self: OfflineAssistant, request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        await asyncio.to_thread(seen.wait)
        async with contextlib.aclosing(answer(self, request)) as stream:
            async for said in stream:
                yield said

    def asking(view: View, ask: Callable[[], Any]) -> tuple[list[Any], Any]:
        with ThreadPoolExecutor() as threads:
            asked = threads.submit(ask)
            try:
                told = view.until("response.created")
            finally:
                seen.set()
            return told + view.until("response.completed"), asked.result()

    monkeypatch.setattr(OfflineAssistant, "answer", wait)
    return asking


def types(events: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [event["type"] for _, event in events]


def test_what_happens_is_told_as_it_happens(look, ann: Person):
    home = ann.sdk.conversations.create().id
    view = look(ann, home, after="0")
    assert view.next()[1]["conversation"]["id"] == home
    [first] = ann.append(home, "one")
    assert view.until("item.added")[-1][1]["item"]["id"] == first
    ann.http.post(f"/v1/conversations/{home}", json={"title": "New"})
    assert view.until("conversation.updated")[-1][1]["conversation"]["title"] == "New"
    ann.sdk.conversations.items.delete(first, conversation_id=home)
    assert view.until("items.deleted")[-1][1]["message_count"] == 0
    ann.sdk.conversations.delete(home)
    assert view.until("conversation.deleted")[-1][1]["conversation_id"] == home


@pytest.mark.parametrize("away", [False, True])
def test_a_turn_is_told_with_its_own_events_and_then_its_items(look, converse, elsewhere, ann: Person, away: bool):
    looking = elsewhere.newcomer(ann.user_id) if away else ann
    home = ann.sdk.conversations.create().id
    view = look(looking, home, after="0")
    view.next()
    create = ann.sdk.responses.create
    told, events = converse(view, lambda: list(create(input="add buy milk", conversation=home, stream=True)))
    asked = next(event["item"] for _, event in told if event["type"] == "item.added")
    assert asked["content"][0]["text"] == "add buy milk"
    said = [event for _, event in told if event["type"].startswith("response.")]
    assert [event["sequence_number"] for event in said] == list(range(len(events)))
    assert {event["response_id"] for event in said} == {events[0].response.id}
    assert types(told).index("item.added") < types(told).index("response.created")
    added = [view.until("item.added")[-1][1]["item"]["id"] for _ in range(3)]
    assert added == [item.id for item in events[-1].response.output]


def test_who_comes_back_goes_on_behind_any_event(look, converse, elsewhere, ann: Person):
    home = ann.sdk.conversations.create().id
    view = look(ann, home, after="0")
    view.next()
    told, _ = converse(view, lambda: ann.sdk.responses.create(input="add buy milk", conversation=home))
    for _ in range(3):
        told += view.until("item.added")
    away = elsewhere.newcomer(ann.user_id)
    essential = [(id_, event) for id_, event in told if event["type"] != "conversation.updated"]
    # From the first event of the turn on: before it, a turn that has ended is told by its items alone.
    for place in (1, len(essential) // 2, len(essential) - 4, len(essential) - 2):
        again = look(away, home, last_event_id=essential[place][0])
        rest = essential[place + 1 :]
        found: list[tuple[str, dict[str, Any]]] = []
        while len(found) < len(rest):
            id_, event = again.next()
            if event["type"] != "conversation.updated":
                found.append((id_, event))
        assert [event for _, event in found] == [event for _, event in rest]


def test_it_begins_now_or_after_an_item(look, ann: Person):
    home = ann.sdk.conversations.create().id
    old = ann.append(home, "one", "two", "three")
    now, behind = look(ann, home), look(ann, home, after=old[0])
    now.next()
    [new] = ann.append(home, "four")
    assert now.until("item.added")[-1][1]["item"]["id"] == new
    added = [behind.until("item.added")[-1][1]["item"]["id"] for _ in range(3)]
    assert added == [*old[1:], new]


def test_it_begins_after_an_item_that_a_turn_made(look, ann: Person):
    home = ann.sdk.conversations.create().id
    response = ann.sdk.responses.create(input="hello", conversation=home)
    view = look(ann, home, after=response.output[-1].id)
    view.next()
    [new] = ann.append(home, "next")
    assert view.until("item.added")[-1][1]["item"]["id"] == new


@pytest.mark.parametrize("after", ["-1", "1.2", "1.2.3.x.4", "1.2.3.4", "nonsense", "9" * 40])
def test_a_place_that_cannot_be_is_refused(ann: Person, after: str):
    home = ann.sdk.conversations.create().id
    answer = ann.http.get(f"/v1/conversations/{home}/events", params={"after": after})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "after")


def test_a_foreign_conversation_looks_like_one_that_is_missing(ann: Person, bob: Person):
    foreign = ann.sdk.conversations.create().id
    errors = set()
    for named in (foreign, f"conv_{'0' * 48}", "conv_nonsense"):
        for after in ("", "?after=0", "?after=0.0.0"):
            answer = bob.http.get(f"/v1/conversations/{named}/events{after}")
            assert answer.status_code == 404
            errors.add(answer.text.replace(named, "…"))
    assert len(errors) == 1
