"""Say what Hansard promises of its speed, and whether a race kept it: ratios within one run, round by round."""

import statistics
from collections.abc import Iterator
from typing import Any, NamedTuple

Contestants = dict[str, dict[str, Any]]
LATENCY, RATE = "rounds_p50_ms", "rounds_per_second"
AT_ONCE = "append, 16 at once"
OURS, OURS_PREPARED = "Hansard", "Hansard, prepared"
OURS_SQLITE, OURS_SQLITE_BARE = "Hansard on SQLite", "Hansard on SQLite, no search"
HAND, HAND_PREPARED = "pipeline, psycopg", "pipeline, psycopg, prepared"
KEPT, PER_REQUEST, SESSION = "openai-agents, object kept", "openai-agents, per request", "openai-agents SQLiteSession"
OTHERS = ("langchain-postgres", "google-adk", "chainlit", "agno", "langgraph")
TRIPS = 1.2


class Bar(NamedTuple):
    """Compare ``ours`` with ``theirs`` in a workload; ``theirs / ours`` where the other way round reads better."""

    told: str
    ours: str
    theirs: str
    workload: str
    figures: str
    bound: float
    most: bool
    inverse: bool = False


def _hand(ours: str, theirs: str, suffix: str) -> Iterator[Bar]:
    yield Bar(f"appends/s at 16 ÷ hand-written{suffix}", ours, theirs, AT_ONCE, RATE, 0.9, most=False)
    for workload, bound in (("append", 1.5), ("last 50", 1.5), ("load 1000", 1.3), ("list 50", 1.5)):
        yield Bar(f"{workload} ÷ hand-written{suffix}", ours, theirs, workload, LATENCY, bound, most=True)


BARS = (
    *_hand(OURS, HAND, ""),
    *_hand(OURS_PREPARED, HAND_PREPARED, ", both prepared"),
    Bar("appends/s at 16 ÷ openai-agents, object kept", OURS, KEPT, AT_ONCE, RATE, 3, most=False),
    # It prepares its statements, as SQLAlchemy does on asyncpg.
    Bar("appends/s at 16 ÷ openai-agents, both prepared", OURS_PREPARED, KEPT, AT_ONCE, RATE, 3, most=False),
    Bar("appends/s at 16 ÷ openai-agents, per request", OURS, PER_REQUEST, AT_ONCE, RATE, 10, most=False),
    Bar("load 1000: openai-agents ÷ ours", OURS, KEPT, "load 1000", LATENCY, 2, most=False, inverse=True),
    *(
        Bar(f"load 1000: {name} ÷ ours", OURS, name, "load 1000", LATENCY, 6, most=False, inverse=True)
        for name in OTHERS
    ),
    Bar("SQLite: appends/s at 16 ÷ SQLiteSession", OURS_SQLITE, SESSION, AT_ONCE, RATE, 3, most=False),
    Bar("SQLite: append ÷ SQLiteSession", OURS_SQLITE, SESSION, "append", LATENCY, 1, most=True),
    Bar("SQLite, no search: appends/s at 16 ÷ SQLiteSession", OURS_SQLITE_BARE, SESSION, AT_ONCE, RATE, 3, most=False),
    Bar("SQLite, no search: append ÷ SQLiteSession", OURS_SQLITE_BARE, SESSION, "append", LATENCY, 1, most=True),
)


class Verdict(NamedTuple):
    """Hold a bar, what was measured, and whether that is enough; ``spread`` is the least and the most of the rounds."""

    told: str
    bound: str
    ratio: float
    spread: tuple[float, float]
    kept: bool


def verdicts(found: Contestants) -> list[Verdict]:
    """Return what can be said of the contestants that finished."""
    said = [_verdict(bar, found) for bar in BARS if _raced(bar, found)]
    trips = [trip["trips"] for trip in found.get(OURS, {}).get("round_trips", {}).values()]
    if trips:
        worst = max(trips)
        said.append(
            Verdict("round trips, the most of any workload", f"≤ {TRIPS}", worst, (worst, worst), worst <= TRIPS)
        )
    return said


def ratios(found: Contestants, ours: str, theirs: str, workload: str, figures: str) -> list[float]:
    """Return ours ÷ theirs for each round: what else the machine did then, it did to both."""
    rounds = [found[name]["measured"][workload][figures] for name in (ours, theirs)]
    return [one / other for one, other in zip(*rounds, strict=True)]


def _raced(bar: Bar, found: Contestants) -> bool:
    return all(bar.workload in found.get(name, {}).get("measured", {}) for name in (bar.ours, bar.theirs))


def _verdict(bar: Bar, found: Contestants) -> Verdict:
    each = ratios(found, bar.ours, bar.theirs, bar.workload, bar.figures)
    if bar.inverse:
        each = [1 / one for one in each]
    ratio = statistics.median(each)
    kept = ratio <= bar.bound if bar.most else ratio >= bar.bound
    return Verdict(bar.told, f"{'≤' if bar.most else '≥'} {bar.bound:g}", ratio, (min(each), max(each)), kept)
