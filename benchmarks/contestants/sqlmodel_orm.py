"""Use SQLModel the way its documentation teaches: rows are objects, a session for each call, no isolation."""

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Column, DateTime
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from benchmarks.contestants.worker import Contestant, Said, serve


def _now() -> datetime:
    return datetime.now(timezone.utc)


class OrmConversation(SQLModel, table=True):
    """Hold a conversation."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: str = Field(index=True)
    next_position: int = 1
    updated_at: datetime = Field(default_factory=_now, sa_column=Column(DateTime(timezone=True), nullable=False))


class OrmMessage(SQLModel, table=True):
    """Hold a message."""

    conversation_id: UUID = Field(primary_key=True, foreign_key="ormconversation.id")
    position: int = Field(primary_key=True)
    role: str
    content: str
    created_at: datetime = Field(default_factory=_now, sa_column=Column(DateTime(timezone=True), nullable=False))


class Orm(Contestant):
    """Lock the conversation, take the next positions, add the objects, commit."""

    packages = ("sqlmodel", "sqlalchemy", "asyncpg")

    def __init__(self) -> None:
        self._engine: AsyncEngine

    async def open(self, place: str) -> None:
        url = place.replace("postgresql://", "postgresql+asyncpg://")
        self._engine = create_async_engine(url, pool_size=16)
        async with self._engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)

    async def close(self) -> None:
        await self._engine.dispose()

    async def begin(self, user: str) -> UUID:
        async with AsyncSession(self._engine) as session:
            conversation = OrmConversation(user_id=user)
            session.add(conversation)
            await session.commit()
            await session.refresh(conversation)
            return conversation.id

    async def append(self, user: str, conversation: UUID, said: Sequence[Said]) -> None:
        async with AsyncSession(self._engine) as session:
            found = await session.get_one(OrmConversation, conversation, with_for_update=True)
            stored = [
                OrmMessage(conversation_id=conversation, position=found.next_position + at, role=role, content=text)
                for at, (role, text) in enumerate(said)
            ]
            found.next_position += len(said)
            found.updated_at = _now()
            session.add_all(stored)
            await session.commit()
            await session.refresh(stored[-1])

    async def load(self, user: str, conversation: UUID) -> Sequence[Any]:
        query = select(OrmMessage).where(OrmMessage.conversation_id == conversation).order_by(col(OrmMessage.position))
        async with AsyncSession(self._engine) as session:
            rows: Sequence[Any] = (await session.exec(query)).all()
        return rows

    async def last(self, user: str, conversation: UUID, limit: int) -> Sequence[Any]:
        query = (
            select(OrmMessage)
            .where(OrmMessage.conversation_id == conversation)
            .order_by(col(OrmMessage.position).desc())
            .limit(limit)
        )
        async with AsyncSession(self._engine) as session:
            rows: Sequence[Any] = (await session.exec(query)).all()
        return rows[::-1]

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        query = (
            select(OrmConversation)
            .where(OrmConversation.user_id == user)
            .order_by(col(OrmConversation.updated_at).desc())
            .limit(limit)
        )
        async with AsyncSession(self._engine) as session:
            rows: Sequence[Any] = (await session.exec(query)).all()
        return rows

    def text(self, message: Any) -> str:
        return str(message.content)


if __name__ == "__main__":
    serve(Orm())
