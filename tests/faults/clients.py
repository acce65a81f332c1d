"""Clients that write down what they were told, and auditors who hold the server to it."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx

GONE = (httpx.TransportError, ConnectionError)
FINAL = {"response.completed", "response.failed", "response.incomplete"}
PATIENCE = 60.0


class StuckError(Exception):
    """Say that nobody answers any more."""


@dataclass
class Figures:
    """Count what happened, and above all what must not."""

    rounds: int = 0
    server_kills: int = 0
    database_kills: int = 0
    pauses: int = 0
    acknowledged_items: int = 0
    acknowledged_turns: int = 0
    cut_turns: int = 0
    failed_turns: int = 0
    resumed: int = 0
    lost: int = 0
    doubled: int = 0
    bent: int = 0
    stuck: int = 0
    late: int = 0
    faults: list[str] = field(default_factory=list)

    def blame(self, kind: str, what: str) -> None:
        """Count something that must not be."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.faults.append(f"{kind}: {what}")

    @property
    def line(self) -> str:
        """Return the figures as one line."""
        return ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in vars(self).items() if name != "faults")


class Log:
    """Keep what clients saw acknowledged, in a file of its own that no server knows of."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def note(self, kind: str, **what: Any) -> None:
        """Write a line, before anything else happens."""
        self._file.write(json.dumps({"kind": kind, **what}) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


@dataclass
class Seen:
    """What one client saw of one turn."""

    texts: list[str]
    id: str = ""
    sequence: int = -1
    shown: str = ""
    final: dict[str, Any] | None = None
    cancelled: bool = False
    refused: str = ""

    def settled(self) -> bool:
        """Say whether asking again is no use: the end was told, or the request is refused for good."""
        return self.final is not None or self.refused.startswith("4")


class Client:
    """Somebody who talks in a conversation of their own, and leaves when the server does."""

    def __init__(self, http: httpx.AsyncClient, log: Log, home: str, dice: random.Random) -> None:
        self.http = http
        self.log = log
        self.home = home
        self.dice = dice
        self.promised: set[str] = set()
        self.doubtful: set[str] = set()
        self.turns: list[Seen] = []
        self.keyed: list[tuple[dict[str, str], dict[str, Any]]] = []

    async def talk(self) -> None:
        """Do one thing after the other until nobody answers."""
        while True:
            act = self.dice.choice([self.append, self.converse, self.converse, self.insist])
            try:
                await act()
            except GONE:
                return

    async def append(self) -> None:
        texts = [f"item {uuid4()}" for _ in range(self.dice.randint(1, 3))]
        self.doubtful.update(texts)
        body = {"items": [{"role": "user", "content": text} for text in texts]}
        answer = await self.http.post(f"/v1/conversations/{self.home}/items", json=body)
        if answer.status_code == httpx.codes.OK:
            self.promise(texts)

    async def converse(self) -> None:
        """Ask for a turn and listen: to its end, or for a while, or until something is said to stop it."""
        turn = Seen([f"add task {uuid4()}"])
        if self.dice.random() < 0.7:
            turn.texts = [f"note {uuid4()}", "help"]
        self.doubtful.update(turn.texts[:1])
        items = [{"role": "user", "content": text} for text in turn.texts]
        leave, cancel = self.dice.choice([10**9, 10**9, 3, 30]), self.dice.choice([10**9, 10**9, 20])
        async with aclosing(self._events("POST", "/v1/responses", turn, input=items)) as events:
            async for _ in events:
                if turn.sequence >= cancel and not turn.cancelled:
                    turn.cancelled = True
                    await self.http.post(f"/v1/responses/{turn.id}/cancel")
                if turn.sequence >= leave:
                    break

    async def insist(self) -> None:
        """Ask under a key, so that it may be asked again."""
        text = f"add task {uuid4()}"
        headers, body = {"idempotency-key": str(uuid4())}, {"input": text, "conversation": self.home}
        self.doubtful.add(text)
        self.keyed.append((headers, body))
        answer = await self.http.post("/v1/responses", json=body, headers=headers)
        if answer.status_code == httpx.codes.OK:
            self.promise([text])
            self.note_end(Seen([text], id=answer.json()["id"]), answer.json())

    def promise(self, texts: list[str]) -> None:
        self.log.note("stored", conversation=self.home, texts=texts)
        self.promised.update(texts)
        self.doubtful.difference_update(texts)

    def note_end(self, turn: Seen, response: dict[str, Any]) -> None:
        self.log.note("ended", conversation=self.home, response=response)
        turn.final = response
        if turn not in self.turns:
            self.turns.append(turn)

    async def resume(self, turn: Seen) -> AsyncGenerator[dict[str, Any], None]:
        """Read on after the last event that was seen."""
        path = f"/v1/responses/{turn.id}?stream=true"
        async with aclosing(
            self._events("GET", path if turn.sequence < 0 else f"{path}&starting_after={turn.sequence}", turn)
        ) as events:
            async for event in events:
                yield event

    async def _events(self, method: str, path: str, turn: Seen, **body: Any) -> AsyncGenerator[dict[str, Any], None]:
        sent: dict[str, Any] = {"json": {**body, "conversation": self.home, "stream": True}} if body else {}
        async with self.http.stream(method, path, **sent) as answer:
            if answer.status_code != httpx.codes.OK:
                await answer.aread()
                turn.refused = f"{answer.status_code} {answer.text}"
                return
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    event = json.loads(line[6:])
                    if event["type"] == "error":
                        raise ConnectionError(event["code"])
                    self._saw(turn, event)
                    yield event

    def _saw(self, turn: Seen, event: dict[str, Any]) -> None:
        if not turn.id:
            turn.id = event["response"]["id"]
            self.turns.append(turn)
            self.promise(turn.texts[:1])
        turn.sequence = event["sequence_number"]
        if event["type"] == "response.output_text.delta":
            turn.shown += event["delta"]
        if event["type"] in FINAL:
            self.note_end(turn, event["response"])


class Picture(NamedTuple):
    """Hold the items of a conversation and the events of its turns."""

    items: list[dict[str, Any]]
    events: dict[str, str]


class Audit:
    """Compare what one client was told with what is there."""

    def __init__(self, client: Client, figures: Figures) -> None:
        self.client = client
        self.figures = figures

    async def run(self) -> None:
        """Look at everything the client knows of, then let it go on."""
        try:
            await self._look()
        except StuckError as error:
            self.figures.blame("stuck", str(error))

    async def _look(self) -> None:
        for headers, body in self.client.keyed:
            await self._ask_again(headers, body)
        for turn in self.client.turns:
            await self._see_to_the_end(turn)
        items = await self.items()
        self._count(items)
        self._match(items)
        await self._go_on()

    async def _ask_again(self, headers: dict[str, str], body: dict[str, Any]) -> None:
        answer = await self._patiently("POST", "/v1/responses", json=body, headers=headers)
        if answer.status_code != httpx.codes.OK:
            self.figures.blame("stuck", f"{body} {answer.text}")
            return
        self.client.promise([body["input"]])
        known = [turn for turn in self.client.turns if turn.id == answer.json()["id"]]
        if known and known[0].final != answer.json():
            self.figures.blame("bent", f"{answer.json()['id']} is repeated differently")
        self.client.note_end(known[0] if known else Seen([body["input"]], id=answer.json()["id"]), answer.json())

    async def _see_to_the_end(self, turn: Seen) -> None:
        if turn.final is None:
            cut = await self._read_on(turn)
            self.figures.resumed += 1
            if turn.final is None:
                self.figures.blame("stuck", f"the stream of {turn.id} has no end: {turn.refused}")
                return
            self.figures.cut_turns += turn.final["status"] == "incomplete"
            if cut and turn.final["status"] not in {"incomplete", "cancelled"}:
                self.figures.blame("lost", f"events of {turn.id}, which is {turn.final['status']}")
        assert turn.final is not None
        stored = (await self._patiently("GET", f"/v1/responses/{turn.id}")).json()
        if stored != turn.final:
            self.figures.blame("bent", f"{turn.id} is not what was told")
        said = "".join(text for item in stored["output"] if item["type"] == "message" for text in _texts(item))
        if not (said.startswith(turn.shown) or turn.shown.startswith(said)):
            self.figures.blame("bent", f"{turn.id} says something else than was shown")
        if stored["status"] == "completed" and not said.startswith(turn.shown):
            self.figures.blame("lost", f"words of {turn.id}")
        if stored["status"] == "failed":
            # Said to be so, and so it is: a tool's commit was under way when the database went.
            self.figures.failed_turns += 1

    async def _read_on(self, turn: Seen) -> bool:
        """Read a turn to its end, from wherever reading breaks off; return whether a number was left out."""
        deadline, last, cut = asyncio.get_running_loop().time() + PATIENCE, turn.sequence, False
        while not turn.settled() and asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(*GONE):
                async for event in self.client.resume(turn):
                    number = event["sequence_number"]
                    if number <= last:
                        self.figures.blame("doubled", f"event {number} of {turn.id} after {last}")
                    cut |= number != last + 1
                    last = number
            await asyncio.sleep(0.1 * (not turn.settled()))
        return cut

    async def picture(self) -> Picture:
        """Return what must not change when a server wakes that had lost its turns."""
        events = {turn.id: (await self._patiently("GET", _all_events(turn))).text for turn in self.client.turns}
        return Picture(await self.items(), events)

    async def compare(self, before: Picture) -> None:
        """Blame whoever changed what stood in the picture, or added to it what nobody asked for.

        A request that was under way when the server was paused may well be answered now: it is not late.
        """
        after = await self.picture()
        added = after.items[len(before.items) :]
        if after.items[: len(before.items)] != before.items or (added and added[0].get("role") != "user"):
            self.figures.blame("late", f"items of {self.client.home}: {json.dumps(added)[:500]}")
        if after.events != before.events:
            self.figures.blame("late", f"events in {self.client.home}")

    async def items(self) -> list[dict[str, Any]]:
        """Return every item of the conversation."""
        found: list[dict[str, Any]] = []
        path = f"/v1/conversations/{self.client.home}/items?limit=100&order=asc"
        page: dict[str, Any] = {"has_more": True}
        while page["has_more"]:
            after = f"&after={page['last_id']}" if found else ""
            page = (await self._patiently("GET", path + after)).json()
            found += page["data"]
        return found

    def _count(self, items: list[dict[str, Any]]) -> None:
        there = Counter(text for item in items if item.get("role") == "user" for text in _texts(item))
        self.figures.acknowledged_items += len(self.client.promised)
        self.figures.acknowledged_turns += len(self.client.turns)
        for text in self.client.promised:
            if there[text] == 0:
                self.figures.blame("lost", text)
        for text, times in there.items():
            if times > 1 and text != "help":
                self.figures.blame("doubled", text)
        ids = Counter(item["id"] for item in items)
        for id_, times in ids.items():
            if times > 1:
                self.figures.blame("doubled", id_)
        for turn in self.client.turns:
            for item in (turn.final or {"output": []})["output"]:
                if ids[item["id"]] == 0:
                    self.figures.blame("lost", f"{item['id']} of {turn.id}")

    def _match(self, items: list[dict[str, Any]]) -> None:
        calls = Counter(item["call_id"] for item in items if item["type"] == "function_call")
        outputs = Counter(item["call_id"] for item in items if item["type"] == "function_call_output")
        if calls != outputs or any(times > 1 for times in calls.values()):
            self.figures.blame("bent", f"calls and outputs of {self.client.home} do not match")

    async def _go_on(self) -> None:
        body = {"input": "hello", "conversation": self.client.home}
        headers = {"x-hansard-on-conflict": "wait"}
        answer = await self._patiently("POST", "/v1/responses", json=body, headers=headers)
        if answer.status_code != httpx.codes.OK or answer.json()["status"] != "completed":
            self.figures.blame("stuck", f"{self.client.home}: {answer.text[:200]}")

    async def _patiently(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """Ask until there is an answer; a database that comes back takes its time."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                answer = await self.client.http.request(method, path, **sent)
            except (httpx.RemoteProtocolError, httpx.ReadError):
                continue  # the server closed an idle connection at this very moment, and did not read what was sent
            again = answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or "conversation_locked" in answer.text
            if not again:
                return answer
            if asyncio.get_running_loop().time() > deadline:
                raise StuckError(f"{method} {path}: {answer.status_code} {answer.text}")
            await asyncio.sleep(0.1)


def _texts(item: dict[str, Any]) -> list[str]:
    return [part["text"] for part in item["content"] if "text" in part]


def _all_events(turn: Seen) -> str:
    return f"/v1/responses/{turn.id}?stream=true"
