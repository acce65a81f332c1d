"""Run one contestant as a process: a question a line comes in, an answer a line goes out, both JSON.

The process times itself, so that what travels between it and the harness is part of no measurement.
It needs nothing but Python, because every contestant may live in an environment of its own.
"""

import asyncio
import gc
import itertools
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from benchmarks.contestants.texts import texts

WRITER, LISTER = "writer", "lister"
WRITERS = 10
TEXTS = 2000
NEWEST = LISTED = 50


class Said(NamedTuple):
    """Hold a message to store."""

    role: str
    text: str


class Contestant:
    """Keep conversations in some way; a method that is left out is something the contestant cannot do."""

    packages: Sequence[str] = ()

    async def open(self, place: str) -> None:
        """Connect to the database at a URL or a path, and make the tables if they are missing."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of everything."""

    async def begin(self, user: str) -> Any:
        """Make a conversation; return what stands for it."""
        raise NotImplementedError

    async def append(self, user: str, conversation: Any, said: Sequence[Said]) -> None:
        """Store messages at the end, durably, in one call."""
        raise NotImplementedError

    async def load(self, user: str, conversation: Any) -> Sequence[Any]:
        """Return all messages, oldest first."""
        raise NotImplementedError

    async def last(self, user: str, conversation: Any, limit: int) -> Sequence[Any]:
        """Return the newest messages, oldest first."""
        raise NotImplementedError

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        """Return the user's conversations, the most recently active first."""
        raise NotImplementedError

    def text(self, message: Any) -> str:
        """Return what a message that was read says."""
        raise NotImplementedError

    def processor(self) -> float:
        """Return the seconds of processor time that the client has used."""
        return time.process_time()


class Place(NamedTuple):
    """Hold the conversations that are read."""

    long: Any
    newest: Sequence[str]


class Session:
    """Answer the harness's questions about one contestant."""

    def __init__(self, contestant: Contestant) -> None:
        self._contestant = contestant
        # Written beforehand: writing a text costs more than an append.
        self._texts = itertools.cycle(list(itertools.islice(texts(1), TEXTS)))
        self._place = Place(None, ())
        self._items = 0
        self._workloads: dict[str, Callable[[Any], Awaitable[object]]] = {
            "append": lambda here: contestant.append(WRITER, here, self._said("user")),
            "turn": lambda here: contestant.append(WRITER, here, self._said("user", "assistant")),
            "append_long": lambda _: contestant.append(WRITER, self._other, self._said("user")),
            "load": lambda _: contestant.load(WRITER, self._place.long),
            "last": lambda _: contestant.last(WRITER, self._place.long, NEWEST),
            "list": lambda _: contestant.list(LISTER, LISTED),
        }
        self._other: Any = None

    async def open(self, *, place: str) -> dict[str, Any]:
        """Open the contestant; say of which releases it is made."""
        await self._contestant.open(place)
        return {"versions": {name: version(name) for name in self._contestant.packages}}

    async def close(self) -> dict[str, Any]:
        """Close the contestant."""
        await self._contestant.close()
        return {}

    async def seed(self, *, items: int, conversations: int, batch: int) -> dict[str, Any]:
        """Fill two conversations of ``items``, and a user's list with conversations of one item."""
        self._items = items
        self._place, other = await asyncio.gather(self._filled(items, batch), self._filled(items, batch))
        self._other = other.long
        for _ in range(0, conversations, WRITERS):
            await asyncio.gather(*(self._one() for _ in range(WRITERS)))
        return {}

    async def fill(self, *, conversations: int, turns: int) -> dict[str, Any]:
        """Store conversations turn by turn, to be weighed."""

        async def talk() -> None:
            conversation = await self._contestant.begin(WRITER)
            for _ in range(turns):
                await self._contestant.append(WRITER, conversation, self._said("user", "assistant"))

        await asyncio.gather(*(talk() for _ in range(conversations)))
        return {"messages": conversations * turns * 2}

    async def check(self) -> dict[str, Any]:
        """Read back what was stored: a contestant that is fast because it forgets is no contestant."""
        contestant, (long, newest) = self._contestant, self._place
        whole = [contestant.text(one) for one in await contestant.load(WRITER, long)]
        assert whole[-len(newest) :] == newest, "the history is not what was stored"
        assert len(whole) == self._items, f"the history has {len(whole)} messages and not {self._items}"
        try:
            last = [contestant.text(one) for one in await contestant.last(WRITER, long, NEWEST)]
        except NotImplementedError:
            last = list(newest)
        assert last == newest, "the last 50 are not the newest"
        return {}

    async def measure(self, *, workload: str, times: int, writers: int = 1) -> dict[str, Any]:
        """Do something so many times, shared among concurrent writers, each in a conversation of its own."""
        call = self._workloads[workload]
        writing = workload in {"append", "turn"}
        places = [await self._contestant.begin(WRITER) if writing else None for _ in range(writers)]
        walls: list[float] = []

        async def work(place: Any) -> None:
            for _ in range(times // writers):
                start = time.perf_counter()
                await call(place)
                walls.append(time.perf_counter() - start)

        gc.collect()
        processor, start = self._contestant.processor(), time.perf_counter()
        await asyncio.gather(*map(work, places))
        seconds = time.perf_counter() - start
        return {"walls": walls, "seconds": seconds, "processor": self._contestant.processor() - processor}

    async def _one(self) -> None:
        conversation = await self._contestant.begin(LISTER)
        await self._contestant.append(LISTER, conversation, self._said("user"))

    async def _filled(self, items: int, batch: int) -> Place:
        conversation = await self._contestant.begin(WRITER)
        newest: list[str] = []
        for _ in range(items // batch):
            said = self._said(*("user", "assistant") * (batch // 2))
            newest = [*newest, *(one.text for one in said)][-NEWEST:]
            await self._contestant.append(WRITER, conversation, said)
        return Place(conversation, newest)

    def _said(self, *roles: str) -> list[Said]:
        return [Said(role, next(self._texts)) for role in roles]


def serve(contestant: Contestant) -> None:
    """Answer questions until there are no more."""
    # What a library prints must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asyncio.run(_serve(Session(contestant), answers))


async def _serve(session: Session, answers: Any) -> None:
    # Between questions nobody waits for this loop, so a blocking read would do; but pools have tasks of their own.
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        question = json.loads(line)
        try:
            answer = await getattr(session, question.pop("do"))(**question)
        except NotImplementedError:
            answer = {"unable": True}
        except Exception as error:  # noqa: BLE001 - the harness reports it
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
