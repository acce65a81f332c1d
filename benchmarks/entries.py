"""List who takes part."""

from benchmarks.racing import Entry

OURS = "benchmarks.contestants"
ENTRIES = (
    Entry(name="raw asyncpg", module=f"{OURS}.plain_tables", note="one statement, no isolation, no order of its own"),
    Entry(name="function, asyncpg", module=f"{OURS}.hand_written", arguments=("function",)),
    Entry(name="function, asyncpg, prepared", module=f"{OURS}.hand_written", arguments=("function", "prepare")),
    Entry(name="pipeline, psycopg", module=f"{OURS}.hand_written", arguments=("pipeline",)),
    Entry(name="pipeline, psycopg, prepared", module=f"{OURS}.hand_written", arguments=("pipeline", "prepare")),
    Entry(name="transaction, asyncpg, prepared", module=f"{OURS}.hand_written", arguments=("transaction", "prepare")),
    Entry(name="SQLModel ORM", module=f"{OURS}.sqlmodel_orm", note="no isolation"),
    Entry(name="Hansard", module=f"{OURS}.hansard_library"),
    Entry(name="Hansard, prepared", module=f"{OURS}.hansard_library", arguments=("prepare",)),
    Entry(name="Hansard, no search", module=f"{OURS}.hansard_library", arguments=("unsearched",)),
    Entry(name="Hansard over HTTP", module=f"{OURS}.hansard_http", note="one process, httpx as the client"),
    Entry(
        name="openai-agents, object kept",
        module=f"{OURS}.openai_agents",
        arguments=("kept",),
        peer="openai-agents",
    ),
    Entry(
        name="openai-agents, per request",
        module=f"{OURS}.openai_agents",
        arguments=("per_request",),
        peer="openai-agents",
    ),
    Entry(name="langchain-postgres", module=f"{OURS}.langchain_postgres", peer="langchain-postgres"),
    Entry(name="google-adk", module=f"{OURS}.google_adk", peer="google-adk"),
    Entry(name="chainlit", module=f"{OURS}.chainlit_layer", peer="chainlit"),
    Entry(name="agno", module=f"{OURS}.agno_database", peer="agno"),
    Entry(
        name="agno, warm",
        module=f"{OURS}.agno_database",
        arguments=("warm",),
        peer="agno",
        note="the runs of the history are in memory",
    ),
    Entry(name="langgraph", module=f"{OURS}.langgraph_checkpoints", peer="langgraph", batch=50),
    Entry(name="SQLite, one thread", module=f"{OURS}.plain_sqlite", arguments=("thread",), database="sqlite"),
    Entry(name="SQLite, grouped commits", module=f"{OURS}.plain_sqlite", arguments=("grouped",), database="sqlite"),
    Entry(name="aiosqlite", module=f"{OURS}.plain_sqlite", arguments=("aiosqlite",), database="sqlite"),
    Entry(name="Hansard on SQLite", module=f"{OURS}.hansard_library", database="sqlite"),
    Entry(
        name="Hansard on SQLite, no search",
        module=f"{OURS}.hansard_library",
        arguments=("unsearched",),
        database="sqlite",
    ),
    Entry(
        name="openai-agents SQLiteSession",
        module=f"{OURS}.openai_agents",
        arguments=("sqlite",),
        peer="openai-agents",
        database="sqlite",
    ),
)
