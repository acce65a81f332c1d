"""List who takes part."""

from benchmarks.racing import Entry

OURS = "benchmarks.contestants"
ENTRIES = (
    Entry(name="raw asyncpg", module=f"{OURS}.plain_tables", note="one statement, no isolation"),
    Entry(name="function, asyncpg", module=f"{OURS}.hand_written", arguments=("function",)),
    Entry(name="function, asyncpg, prepared", module=f"{OURS}.hand_written", arguments=("function", "prepare")),
    Entry(name="pipeline, psycopg", module=f"{OURS}.hand_written", arguments=("pipeline",)),
    Entry(name="pipeline, psycopg, prepared", module=f"{OURS}.hand_written", arguments=("pipeline", "prepare")),
    Entry(name="transaction, asyncpg, prepared", module=f"{OURS}.hand_written", arguments=("transaction", "prepare")),
    Entry(name="Hansard", module=f"{OURS}.hansard_library"),
    Entry(name="Hansard, prepared", module=f"{OURS}.hansard_library", arguments=("prepare",)),
    Entry(name="Hansard on SQLite", module=f"{OURS}.hansard_library", database="sqlite"),
)
