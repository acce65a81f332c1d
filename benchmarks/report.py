"""Write the results of a race as Markdown."""

from typing import Any

from benchmarks.tables import table

Contestant = dict[str, Any]
LATENCIES = ("append", "append turn", "append to 1000", "load 1000", "last 50", "list 50")
NOTHING = "–"  # noqa: RUF001 - a dash in a table
AT_ONCE = "append, 16 at once"


def markdown(document: dict[str, Any]) -> str:
    """Return the tables of both databases, and who is missing."""
    parts = []
    for database, title in (("postgresql", "PostgreSQL"), ("sqlite", "SQLite")):
        found = {
            name: one
            for name, one in document["contestants"].items()
            if one["database"] == database and "measured" in one
        }
        if found:
            parts += [f"### {title}", latencies(found), costs(found)]
    missing = {name: one["missing"] for name, one in document["contestants"].items() if "missing" in one}
    if missing:
        parts.append("\n".join(f"- {name} is missing or incomplete: {why}" for name, why in missing.items()))
    return "\n\n".join(parts)


def latencies(found: dict[str, Contestant]) -> str:
    """Return milliseconds, p50 and p95."""
    heads = ["ms, p50 (p95)", *LATENCIES, "appends/s at 16"]
    rows = []
    for name, one in found.items():
        measured = one["measured"]
        cells = [_pair(measured.get(workload)) for workload in LATENCIES]
        rows.append([name, *cells, f"{measured[AT_ONCE]['per_second']:.0f}" if AT_ONCE in measured else NOTHING])
    return table(heads, rows)


def costs(found: dict[str, Contestant]) -> str:
    """Return what the client spends, how often it waits for the network, and what is left on the disk."""
    heads = [
        "",
        "CPU µs: append",
        "load 1000",
        "last 50",
        "list 50",
        "round trips: append",
        "turn",
        "load",
        "last",
        "list",
    ]
    rows = []
    for name, one in found.items():
        cpu = [_cpu(one["measured"].get(workload)) for workload in ("append", "load 1000", "last 50", "list 50")]
        trips = [
            _trips(one.get("round_trips", {}).get(workload))
            for workload in ("append", "append turn", "load 1000", "last 50", "list 50")
        ]
        weight = one.get("bytes_per_message")
        rows.append([name, *cpu, *trips, f"{weight:.0f}" if weight is not None else NOTHING])
    return table([*heads, "bytes per message"], rows)


def _pair(figures: dict[str, Any] | None) -> str:
    return f"{figures['p50_ms']:.2f} ({figures['p95_ms']:.2f})" if figures else NOTHING


def _cpu(figures: dict[str, Any] | None) -> str:
    return f"{figures['cpu_us']:.0f}" if figures else NOTHING


def _trips(figures: dict[str, float] | None) -> str:
    return f"{figures['best_by_time']:.1f}" if figures else NOTHING
