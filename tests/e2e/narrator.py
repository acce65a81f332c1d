"""A model that stops in the middle of its answer until it may go on: nothing to be seen meanwhile is ever missed."""

import asyncio
import re
from typing import Any

from hansard.agents.offline.wording import HELP
from tests.support.scripted_upstream import Exchange, chat_delta, chat_stream

HELD_WORDS = 25
PAUSE_SECONDS = 0.01


class Narrator:
    """Answers "help" at length, and anything else at once."""

    def __init__(self) -> None:
        self._going_on = asyncio.Event()

    def hold(self) -> None:
        """Stop in the middle of every answer from now on."""
        self._going_on.clear()

    def go_on(self) -> None:
        """Say the rest, of every answer."""
        self._going_on.set()

    async def answer(self, exchange: Exchange) -> None:
        words = re.findall(r"\s*\S+", HELP) if _question(exchange.asked.body) == "help" else ["Very well."]
        await exchange.head()
        for number, word in enumerate(words):
            if number == HELD_WORDS:
                await self._until_it_may_go_on(exchange)
            await exchange.events([chat_delta({"content": word})])
            # One by one, as they are to be seen.
            await asyncio.sleep(PAUSE_SECONDS)
        await exchange.events(chat_stream())
        await exchange.end()

    async def _until_it_may_go_on(self, exchange: Exchange) -> None:
        waiting = [asyncio.ensure_future(event.wait()) for event in (self._going_on, exchange.asked.gone)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()


def _question(body: Any) -> str:
    # Who asks once more says nothing new.
    content = next(message["content"] for message in reversed(body["messages"]) if message["role"] == "user")
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
