"""An application of your own whose answers survive: the page may be closed, the stream may break, the text stays.

pip install '/path/to/hansard[server]'
uvicorn turns_in_your_app:app

curl -iN localhost:8000/chats --json '{"text": "Hello"}'     # stop it in the middle …
curl -N localhost:8000/turns/resp_…?after=5                  # … and read on from event 5
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

import hansard

EVENTS = "text/event-stream"


async def answer(request: hansard.AgentRequest) -> AsyncGenerator[str, None]:
    """Say something: call your model here, and yield its text piece by piece."""
    for word in f"You said {len(request.history)} things so far, and I keep them all.".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep the store open while the application runs; closing it lets running turns end."""
    async with hansard.open_store(os.environ.get("DATABASE_URL", "sqlite:///chats.db")) as store:
        app.state.store = store
        yield


app = FastAPI(lifespan=lifespan)


def user_of(request: Request) -> str:
    """Say who asks: take it from your own sign-in."""
    return request.headers.get("x-user", "somebody")


class Said(BaseModel):
    """What a person says, in a new conversation or in one that there is."""

    text: str
    chat: UUID | None = None


@app.post("/chats")
async def say(request: Request, said: Said) -> StreamingResponse:
    """Answer, in a turn that goes on when the person leaves."""
    turn = await hansard.run_turn(
        request.app.state.store, user_of(request), answer, said.text, conversation_id=said.chat
    )
    return StreamingResponse(turn.sse(), media_type=EVENTS, headers={"x-turn": turn.id})


@app.get("/turns/{turn_id}")
async def follow(request: Request, turn_id: str, after: int = -1) -> StreamingResponse:
    """Read on where a stream broke off, from whichever process."""
    turn = await hansard.find_turn(request.app.state.store, user_of(request), turn_id)
    return StreamingResponse(turn.sse(after=after), media_type=EVENTS)


@app.get("/chats/{chat}")
async def history(request: Request, chat: UUID) -> list[dict[str, Any]]:
    """Return the newest items of a conversation."""
    user = request.app.state.store.for_user(user_of(request))
    return [read.item for read in await user.items.last(chat, 100)]
