"""Turns for tests: who runs them, what becomes of them, and how one dies."""

import asyncio
from uuid import UUID

from hansard.agents.protocol import Tool
from hansard.services.beginning import TurnRequest
from hansard.services.channel import StreamEvent
from hansard.services.keeper import Pace
from hansard.services.turns import Turn, Turns
from hansard.store.contract import UserStore
from tests.support.agents import user_says

PACE = Pace(lease_seconds=15, batch_seconds=0.01, patience_seconds=20)


def turns_with(agent, *, pace: Pace = PACE, tools: tuple[Tool, ...] = ()) -> Turns:
    return Turns({"m": agent}, default_model="m", pace=pace, tools_for=lambda _: tools)


async def ask(turns: Turns, user: UserStore, **more) -> Turn:
    home = more.pop("conversation_id", None) or (await user.conversations.create()).id
    return await turns.begin(user, TurnRequest([user_says("hello")], conversation_id=home, **more))


async def told(turns: Turns, turn: Turn, *, after: int = -1) -> list[StreamEvent]:
    return [event async for page in await turns.follow(turn, after=after) for event in page]


async def stored(user: UserStore, turn: Turn, *words: str) -> None:
    """Return when these words of the turn are in the database."""
    while True:
        _, batches = await user.turns.events(turn.id)
        if all(f'"{word}"' in "".join(batch.data for batch in batches) for word in words):
            return
        await asyncio.sleep(0.005)


async def crash(turns: Turns, observer, turn: Turn) -> None:
    """End a turn as a dying process does, without a word, and let its lease run out."""
    for task in list(turns._roster.tasks):
        task.cancel()
    await asyncio.gather(*turns._roster.tasks, return_exceptions=True)
    expire(observer, turn)


def expire(observer, turn: Turn) -> None:
    past = "2020-01-01 00:00:00" if "Sqlite" in type(observer).__name__ else "2020-01-01 00:00:00+00"
    where = "WHERE id = ?"
    id_ = turn.id.hex if "Sqlite" in type(observer).__name__ else turn.id
    observer.execute(f"UPDATE turns SET lease_expires_at = ? {where}", past, id_)


def text_of(response: dict) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


async def home_of(user: UserStore, turn: Turn) -> UUID:
    return (await user.turns.get(turn.id)).conversation_id
