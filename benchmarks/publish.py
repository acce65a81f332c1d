"""Redraw the charts and renew the tables of the documentation from the results that are kept.

`make charts` does it; nothing is measured.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.bars import AT_ONCE
from benchmarks.report import HEADLINE, bars, caveat, costs, finished, headline, latencies
from benchmarks.results import KEPT, ROOT, told

IMAGES = ROOT / "docs" / "images"
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "explanation" / "performance.md"
OURS, HAND, THEIRS = "#1a7f5a", "#8a6d1f", "#7b8794"
# No date and no random ids, so that drawing the same results again changes nothing.
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hansard",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def main() -> None:
    """Renew everything that is drawn or copied from `compare.json`."""
    document = json.loads((KEPT / "compare.json").read_text())
    postgres, sqlite = finished(document, "postgresql"), finished(document, "sqlite")
    shown = {name: one for name, one in postgres.items() if name in HEADLINE}
    _draw("appends", shown, "Appends a second, 16 writers at once", lambda one: _figure(one, AT_ONCE, "per_second"))
    _draw("load", shown, "Reading 1000 messages, ms", lambda one: _figure(one, "load 1000", "p50_ms"))
    _draw(
        "processor",
        shown,
        "Processor time of the client for one append, µs",
        lambda one: _figure(one, "append", "cpu_us"),
    )
    _draw(
        "sqlite",
        sqlite,
        "SQLite: appends a second, 16 writers at once",
        lambda one: _figure(one, AT_ONCE, "per_second"),
    )
    told_of = f"{caveat(document)}{told(document)}"
    renew(README, "headline", headline(document))
    renew(PAGE, "postgresql", f"{latencies(postgres)}\n\n{costs(postgres)}\n\n{told_of}")
    renew(PAGE, "sqlite", f"{latencies(sqlite)}\n\n{costs(sqlite)}")
    renew(PAGE, "bars", bars(document))


def renew(page: Path, name: str, text: str) -> None:
    """Put a text between the marks of its name in a page."""
    marked = re.compile(rf"(<!-- results: {name} -->\n).*?(<!-- /results -->)", re.DOTALL)
    renewed, found = marked.subn(lambda marks: f"{marks[1]}\n{text}\n\n{marks[2]}", page.read_text())
    assert found == 1, f"{page} has no place for {name}"
    page.write_text(renewed)


def _figure(one: dict[str, Any], workload: str, kind: str) -> float | None:
    figures = one["measured"].get(workload)
    return None if figures is None else float(figures[kind])


def _draw(name: str, found: dict[str, Any], title: str, figure: Callable[[dict[str, Any]], float | None]) -> None:
    values = {each: value for each, one in found.items() if (value := figure(one)) is not None}
    with mpl.rc_context(STYLE):
        drawing, axes = plt.subplots(figsize=(7, 0.4 + 0.3 * len(values)))
        places = range(len(values), 0, -1)
        axes.barh(list(places), list(values.values()), color=[_colour(each) for each in values], height=0.7)
        for place, value in zip(places, values.values(), strict=True):
            axes.text(value, place, f" {value:,.0f}" if value >= 100 else f" {value:.1f}", va="center")  # noqa: PLR2004
        axes.set_yticks(list(places), list(values))
        axes.set_title(title, loc="left")
        axes.tick_params(axis="y", length=0)
        drawing.savefig(IMAGES / f"performance-{name}.svg", bbox_inches="tight", metadata={"Date": None})
        plt.close(drawing)


def _colour(name: str) -> str:
    if name.startswith("Hansard"):
        return OURS
    return HAND if name.startswith(("pipeline", "raw", "SQLite,")) else THEIRS


if __name__ == "__main__":
    main()
