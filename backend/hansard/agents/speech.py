"""Make an agent of a plain function that says something."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeAlias

from hansard.agents.events import Answer
from hansard.agents.protocol import AgentRequest, Event, Outcome

Speech: TypeAlias = Callable[[AgentRequest], AsyncGenerator["str | Event | Outcome", None]]


class Speaker:
    """Be the agent that says what an asynchronous generator yields.

    It yields text, which becomes one message, or the events of `hansard.agents.protocol`, not both. It may end with
    an `Outcome`; without one its answer is complete.
    """

    def __init__(self, speech: Speech) -> None:
        self._speech = speech

    async def answer(self, request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        """Yield what the generator says, as events."""
        end = Outcome("completed")
        async with aclosing(self._speech(request)) as said:
            first = await anext(said, end)
            if isinstance(first, str):
                pieces = _Pieces(first, said)
                async for event in Answer().message(pieces):
                    yield event
                yield pieces.outcome or end
                return
            yield _no_text(first)
            async for more in said:
                yield _no_text(more)
        if not isinstance(first, Outcome):
            yield end


class _Pieces:
    """Be the text of a speech; ``outcome`` is what it ended with."""

    def __init__(self, first: str, rest: AsyncIterator[str | Event | Outcome]) -> None:
        self.outcome: Outcome | None = None
        self._first = first
        self._rest = rest

    async def __aiter__(self) -> AsyncIterator[str]:
        yield self._first
        async for said in self._rest:
            if isinstance(said, Outcome):
                self.outcome = said
                return
            if not isinstance(said, str):
                raise TypeError("an agent that says text says nothing else")
            yield said


def _no_text(said: str | Event | Outcome) -> Event | Outcome:
    if isinstance(said, str):
        raise TypeError("an agent that says events says no plain text")
    return said
