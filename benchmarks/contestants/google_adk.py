"""Use the database sessions of Google's Agent Development Kit; its list has no limit."""

from collections.abc import Sequence
from typing import Any

from google.adk.events import Event
from google.adk.sessions import DatabaseSessionService
from google.adk.sessions.base_session_service import GetSessionConfig
from google.genai import types

from benchmarks.contestants.worker import Contestant, Said, serve

APP = "bench"


class Adk(Contestant):
    """Keep the session object of each conversation, which appending needs."""

    packages = ("google-adk", "sqlalchemy", "asyncpg")

    def __init__(self) -> None:
        self._service: Any = None

    async def open(self, place: str) -> None:
        url = place.replace("postgresql://", "postgresql+asyncpg://")
        self._service = DatabaseSessionService(url, pool_size=16)

    async def close(self) -> None:
        await self._service.close()

    async def begin(self, user: str) -> Any:
        return await self._service.create_session(app_name=APP, user_id=user)

    async def append(self, user: str, conversation: Any, said: Sequence[Said]) -> None:
        for role, text in said:
            author = "user" if role == "user" else "agent"
            content = types.Content(role="user" if role == "user" else "model", parts=[types.Part(text=text)])
            await self._service.append_event(conversation, Event(author=author, content=content))

    async def load(self, user: str, conversation: Any) -> Sequence[Any]:
        session = await self._service.get_session(app_name=APP, user_id=user, session_id=conversation.id)
        events: Sequence[Any] = session.events
        return events

    async def last(self, user: str, conversation: Any, limit: int) -> Sequence[Any]:
        config = GetSessionConfig(num_recent_events=limit)
        session = await self._service.get_session(app_name=APP, user_id=user, session_id=conversation.id, config=config)
        events: Sequence[Any] = session.events
        return events

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        found = await self._service.list_sessions(app_name=APP, user_id=user)
        newest: Sequence[Any] = sorted(found.sessions, key=lambda one: one.last_update_time, reverse=True)[:limit]
        return newest

    def text(self, message: Any) -> str:
        return str(message.content.parts[0].text)


if __name__ == "__main__":
    serve(Adk())
