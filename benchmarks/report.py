"""Write the results of a race as Markdown."""

from collections.abc import Iterable
from typing import Any

from benchmarks.bars import AT_ONCE, verdicts
from benchmarks.results import told
from benchmarks.tables import table

Contestants = dict[str, dict[str, Any]]
NOTHING = "–"  # noqa: RUF001 - a dash in a table
LATENCIES = ("append", "append turn", "append to 1000", "load 1000", "last 50", "list 50")
BUSY = 1.0
# As the README names them: what a reader would do instead, from the least to the most that it does for them.
HEADLINE = {
    "raw asyncpg": "raw asyncpg, one statement, nothing promised",
    "pipeline, psycopg": "hand-written with the same guarantees",
    "Hansard": "**Hansard**",
    "Hansard, prepared": "**Hansard**, direct connections (`prepare=True`)",
    "Hansard over HTTP": "**Hansard** over HTTP, one process",
    "SQLModel ORM": "SQLModel ORM",
    "openai-agents, object kept": "openai-agents, object kept",
    "openai-agents, per request": "openai-agents, per request",
    "langchain-postgres": "langchain-postgres",
    "google-adk": "google-adk",
    "chainlit": "Chainlit",
    "agno": "Agno",
    "langgraph": "LangGraph checkpoints",
}


def markdown(document: dict[str, Any]) -> str:
    """Return the tables of both databases, the bars, and who is missing."""
    parts = []
    for database, title in (("postgresql", "PostgreSQL"), ("sqlite", "SQLite")):
        found = finished(document, database)
        if found:
            parts += [f"### {title}", latencies(found), costs(found)]
    said = bars(document)
    if said:
        parts += ["### Bars", said]
    missing = {name: one["missing"] for name, one in document["contestants"].items() if "missing" in one}
    if missing:
        parts.append("\n".join(f"- {name} is missing or incomplete: {why}" for name, why in missing.items()))
    return "\n\n".join(parts)


def finished(document: dict[str, Any], database: str) -> Contestants:
    """Return the contestants of one database that were measured."""
    contestants: Contestants = document["contestants"]
    return {name: one for name, one in contestants.items() if one["database"] == database and one.get("measured")}


def headline(document: dict[str, Any]) -> str:
    """Return the one table that matters, and what it was measured on."""
    found = finished(document, "postgresql")
    heads = ["PostgreSQL, fsync on", "append, ms", "appends/s at 16", "load 1000, ms", "last 50, ms", "list 50, ms"]
    rows = []
    for name, shown in HEADLINE.items():
        if name not in found:
            continue
        measured = found[name]["measured"]
        cells = [_median(measured.get(workload)) for workload in ("append", "load 1000", "last 50", "list 50")]
        rows.append([shown, cells[0], _rate(measured.get(AT_ONCE)), *cells[1:], _all_trips(found[name])])
    return f"{table([*heads, 'round trips'], rows)}\n\n{caveat(document)}{told(document)}"


def caveat(document: dict[str, Any]) -> str:
    """Return a warning where the machine had other things to do, else nothing."""
    if document["machine"]["load_before"] <= BUSY and not document.get("quick"):
        return ""
    return "**Provisional**: the machine was busy with other work, so read the ratios and not the milliseconds. "


def latencies(found: Contestants) -> str:
    """Return milliseconds, p50 and p95."""
    rows = []
    for name, one in found.items():
        measured = one["measured"]
        rows.append([name, *(_pair(measured.get(each)) for each in LATENCIES), _rate(measured.get(AT_ONCE))])
    return table(["ms, p50 (p95)", *LATENCIES, "appends/s at 16"], rows)


def costs(found: Contestants) -> str:
    """Return what the client spends, how often it waits for the network, and what is left on the disk."""
    spent = ("append", AT_ONCE, "load 1000", "last 50", "list 50")
    far = ("append", "append turn", "load 1000", "last 50", "list 50")
    rows = []
    for name, one in found.items():
        cpu = [_cpu(one["measured"].get(workload)) for workload in spent]
        trips = [_trips(one.get("round_trips", {}).get(workload)) for workload in far]
        rows.append([name, *cpu, *trips, _weight(one)])
    heads = ["", "CPU µs: append", "at 16", "load", "last", "list", "trips: append", "turn", "load", "last", "list"]
    return table([*heads, "bytes/message"], rows)


def bars(document: dict[str, Any]) -> str:
    """Return what was promised, and what came of it."""
    said = verdicts(document["contestants"])
    rows = [
        (
            one.told,
            one.bound,
            f"{one.ratio:.2f}",
            f"{one.spread[0]:.2f} to {one.spread[1]:.2f}",
            "yes" if one.kept else "no",
        )
        for one in said
    ]
    return table(["ratio in one run", "bar", "median", "rounds", "kept"], rows) if rows else ""


def _pair(figures: dict[str, Any] | None) -> str:
    return f"{figures['p50_ms']:.2f} ({figures['p95_ms']:.2f})" if figures else NOTHING


def _median(figures: dict[str, Any] | None) -> str:
    return f"{figures['p50_ms']:.2f}" if figures else NOTHING


def _rate(figures: dict[str, Any] | None) -> str:
    return f"{figures['per_second']:.0f}" if figures else NOTHING


def _cpu(figures: dict[str, Any] | None) -> str:
    return f"{figures['cpu_us']:.0f}" if figures else NOTHING


def _trips(figures: dict[str, float] | None) -> str:
    return f"{figures['trips']:.1f}" if figures else NOTHING


def _all_trips(one: dict[str, Any]) -> str:
    counts: Iterable[float] = [round(trip["trips"]) for trip in one.get("round_trips", {}).values()]
    least, most = (min(counts), max(counts)) if counts else (0, 0)
    if not most:
        return NOTHING
    return str(most) if least == most else f"{least} to {most}"


def _weight(one: dict[str, Any]) -> str:
    return f"{one['bytes_per_message']:.0f}" if "bytes_per_message" in one else NOTHING
