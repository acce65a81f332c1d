"""Use Chainlit's SQLAlchemy data layer, on the tables that its documentation gives; its list loads every message."""

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

import asyncpg
from chainlit.context import init_http_context
from chainlit.data.sql_alchemy import SQLAlchemyDataLayer
from chainlit.types import Pagination, ThreadFilter
from chainlit.user import User

from benchmarks.contestants.worker import Contestant, Said, serve

TABLES = """
CREATE TABLE IF NOT EXISTS users (
    "id" UUID PRIMARY KEY, "identifier" TEXT NOT NULL UNIQUE, "metadata" JSONB NOT NULL, "createdAt" TEXT);
CREATE TABLE IF NOT EXISTS threads (
    "id" UUID PRIMARY KEY, "createdAt" TEXT, "name" TEXT, "userId" UUID, "userIdentifier" TEXT, "tags" TEXT[],
    "metadata" JSONB, FOREIGN KEY ("userId") REFERENCES users("id") ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS steps (
    "id" UUID PRIMARY KEY, "name" TEXT NOT NULL, "type" TEXT NOT NULL, "threadId" UUID NOT NULL, "parentId" UUID,
    "streaming" BOOLEAN NOT NULL, "waitForAnswer" BOOLEAN, "isError" BOOLEAN, "metadata" JSONB, "tags" TEXT[],
    "input" TEXT, "output" TEXT, "createdAt" TEXT, "command" TEXT, "start" TEXT, "end" TEXT, "generation" JSONB,
    "showInput" TEXT, "language" TEXT, "indent" INT, "defaultOpen" BOOLEAN, "autoCollapse" BOOLEAN, "modes" JSONB,
    "icon" TEXT, FOREIGN KEY ("threadId") REFERENCES threads("id") ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS elements (
    "id" UUID PRIMARY KEY, "threadId" UUID, "type" TEXT, "url" TEXT, "chainlitKey" TEXT, "name" TEXT NOT NULL,
    "display" TEXT, "objectKey" TEXT, "size" TEXT, "page" INT, "language" TEXT, "forId" UUID, "mime" TEXT,
    "props" JSONB, FOREIGN KEY ("threadId") REFERENCES threads("id") ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS feedbacks (
    "id" UUID PRIMARY KEY, "forId" UUID NOT NULL, "threadId" UUID NOT NULL, "value" INT NOT NULL, "comment" TEXT,
    FOREIGN KEY ("threadId") REFERENCES threads("id") ON DELETE CASCADE);
"""


class Chainlit(Contestant):
    """Store each message as a step, as Chainlit's own messages do."""

    packages = ("chainlit", "sqlalchemy", "asyncpg")

    def __init__(self) -> None:
        self._layer: Any = None
        self._users: dict[str, Any] = {}

    async def open(self, place: str) -> None:
        init_http_context()  # the layer asks which session it serves
        connection = await asyncpg.connect(place)
        await connection.execute(TABLES)
        await connection.close()
        self._layer = SQLAlchemyDataLayer(place.replace("postgresql://", "postgresql+asyncpg://"))
        for name in ("writer", "lister"):
            self._users[name] = await self._layer.create_user(User(identifier=name))

    async def close(self) -> None:
        await self._layer.engine.dispose()

    async def begin(self, user: str) -> str:
        thread = str(uuid4())
        await self._layer.update_thread(thread, name="Talk", user_id=self._users[user].id)
        return thread

    async def append(self, user: str, conversation: str, said: Sequence[Said]) -> None:
        for role, text in said:
            now = datetime.now(timezone.utc).replace(tzinfo=None).isoformat() + "Z"
            await self._layer.create_step(
                {
                    "id": str(uuid4()),
                    "threadId": conversation,
                    "name": role,
                    "type": f"{role}_message",
                    "output": text,
                    "streaming": False,
                    "createdAt": now,
                    "start": now,
                    "end": now,
                }
            )

    async def load(self, user: str, conversation: str) -> Sequence[Any]:
        thread = await self._layer.get_thread(conversation)
        steps: Sequence[Any] = thread["steps"]
        return steps

    async def last(self, user: str, conversation: str, limit: int) -> Sequence[Any]:
        return (await self.load(user, conversation))[-limit:]  # it knows no other way

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        wanted = ThreadFilter(userId=self._users[user].id)
        page = await self._layer.list_threads(Pagination(first=limit, cursor=None), wanted)
        threads: Sequence[Any] = page.data
        return threads

    def text(self, message: Any) -> str:
        return str(message["output"])


if __name__ == "__main__":
    serve(Chainlit())
