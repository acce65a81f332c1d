"""Agents that do what a test wrote down."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, TypeAlias

from hansard.agents.events import Answer
from hansard.agents.protocol import AgentRequest, Event, Outcome
from hansard.models.verbatim import message_item

Script: TypeAlias = Callable[[AgentRequest], AsyncGenerator[Event | Outcome, None]]
DONE = Outcome("completed")


class Scripted:
    """An agent that follows a script, and remembers what it was asked."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.asked: list[AgentRequest] = []

    def answer(self, request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        self.asked.append(request)
        return self._script(request)


class Prompted:
    """An agent that says each piece when the test tells it to; ``None`` ends its answer."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self.asked = asyncio.Event()

    def say(self, *pieces: str | None) -> None:
        for piece in pieces:
            self._pieces.put_nowait(piece)

    async def answer(self, request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        self.asked.set()
        async for event in Answer().message(self._prompted()):
            yield event
        yield DONE

    async def _prompted(self) -> AsyncIterator[str]:
        while (piece := await self._pieces.get()) is not None:
            yield piece


async def pieces(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def echo(request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
    """Say what the user said last."""
    async for event in Answer().message(pieces("You said: ", request.history[-1]["content"][0]["text"])):
        yield event
    yield DONE


def user_says(text: str) -> dict[str, Any]:
    return message_item("user", "completed", text)
