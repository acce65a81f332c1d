"""What the documentation says of speed is what the kept results say: `make charts` renews it after `make bench`."""

import json
from typing import Any

import pytest

from benchmarks.report import bars, costs, finished, headline, latencies
from benchmarks.results import KEPT, ROOT

PAGE = ROOT / "docs" / "explanation" / "performance.md"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((KEPT / "compare.json").read_text())
    return kept


def test_the_readme_shows_the_kept_results(results):
    assert headline(results) in (ROOT / "README.md").read_text()


def test_the_page_on_performance_shows_the_kept_results(results):
    page = PAGE.read_text()
    assert bars(results) in page
    for database in ("postgresql", "sqlite"):
        found = finished(results, database)
        assert latencies(found) in page
        assert costs(found) in page


def test_every_chart_of_the_page_is_there():
    drawn = {path.name for path in (ROOT / "docs" / "images").glob("performance-*.svg")}
    assert drawn
    assert {name for name in drawn if f"../images/{name}" in PAGE.read_text()} == drawn
