"""Use LangGraph's checkpoints on PostgreSQL: the messages are the state of a graph, and every step stores it anew."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from benchmarks.contestants.worker import Contestant, Said, serve

KINDS: dict[str, Any] = {"user": HumanMessage, "assistant": AIMessage}


class LangGraph(Contestant):
    """Run a graph whose one node does nothing: what is left is the storing."""

    packages = ("langgraph", "langgraph-checkpoint-postgres", "psycopg")

    def __init__(self) -> None:
        self._pool: Any = None
        self._graph: Any = None

    async def open(self, place: str) -> None:
        settings = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
        self._pool = AsyncConnectionPool(place, kwargs=settings, min_size=16, max_size=16, open=False)
        await self._pool.open(wait=True)
        saver = AsyncPostgresSaver(self._pool)
        await saver.setup()
        builder = StateGraph(MessagesState)
        builder.add_node("listen", lambda _: {})
        builder.add_edge(START, "listen")
        builder.add_edge("listen", END)
        self._graph = builder.compile(checkpointer=saver)

    async def close(self) -> None:
        await self._pool.close()

    async def begin(self, user: str) -> Any:
        return {"configurable": {"thread_id": str(uuid4()), "user_id": user}}

    async def append(self, user: str, conversation: Any, said: Sequence[Said]) -> None:
        messages = [KINDS[role](content=text) for role, text in said]
        await self._graph.ainvoke({"messages": messages}, conversation, durability="sync")

    async def load(self, user: str, conversation: Any) -> Sequence[Any]:
        state = await self._graph.aget_state(conversation)
        messages: Sequence[Any] = state.values["messages"]
        return messages

    async def last(self, user: str, conversation: Any, limit: int) -> Sequence[Any]:
        return (await self.load(user, conversation))[-limit:]  # it knows no other way

    def text(self, message: Any) -> str:
        return str(message.content)


if __name__ == "__main__":
    serve(LangGraph())
