"""Use Agno's database as its agents do: a run for each turn, and the session's row with it. `python -m … [warm]`.

A database object keeps the runs of the last 64 conversations that it read, as objects, and builds only those anew whose
text has changed. `warm` reads a history that it has just read; otherwise it is read as everybody else reads it, as
after a start, in another process, or when 64 other conversations came between.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from agno.db.base import SessionType
from agno.db.postgres import AsyncPostgresDb
from agno.models.message import Message
from agno.run.agent import RunOutput
from agno.run.base import RunStatus
from agno.session.agent import AgentSession

from benchmarks.contestants.worker import Contestant, Said, serve

AGENT = "bench"


class Agno(Contestant):
    """Read the session, store the run and then the session, for every call."""

    packages = ("agno", "sqlalchemy", "asyncpg")

    def __init__(self, *, warm: bool) -> None:
        self._warm = warm
        self._database: Any = None

    async def open(self, place: str) -> None:
        url = place.replace("postgresql://", "postgresql+asyncpg://")
        self._database = AsyncPostgresDb(db_url=url)

    async def close(self) -> None:
        await self._database.close()

    async def begin(self, user: str) -> str:
        conversation = str(uuid4())
        await self._database.upsert_session(self._session(user, conversation))
        return conversation

    async def append(self, user: str, conversation: str, said: Sequence[Said]) -> None:
        run = RunOutput(
            run_id=str(uuid4()),
            agent_id=AGENT,
            session_id=conversation,
            user_id=user,
            content=said[-1].text,
            messages=[Message(role=role, content=text) for role, text in said],
            status=RunStatus.completed,
        )
        await self._database.upsert_run(run, conversation, user)
        await self._database.upsert_session(self._session(user, conversation))

    async def load(self, user: str, conversation: str) -> Sequence[Any]:
        if not self._warm:
            self._database._run_object_cache.drop_session(conversation)  # noqa: SLF001 - nothing public empties it
        session = await self._database.get_session(conversation, SessionType.AGENT, user)
        return [message for run in session.runs for message in run.messages]

    async def last(self, user: str, conversation: str, limit: int) -> Sequence[Any]:
        session = await self._database.get_session(conversation, SessionType.AGENT, user, runs_limit=limit)
        return [message for run in session.runs for message in run.messages][-limit:]

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        sessions: Sequence[Any] = await self._database.get_sessions(
            SessionType.AGENT, user, limit=limit, sort_by="updated_at", sort_order="desc", include_runs=False
        )
        return sessions

    def text(self, message: Any) -> str:
        return str(message.content)

    def _session(self, user: str, conversation: str) -> AgentSession:
        return AgentSession(session_id=conversation, agent_id=AGENT, user_id=user, created_at=int(time.time()))


if __name__ == "__main__":
    serve(Agno(warm="warm" in sys.argv))
