"""A name is short and what it stands for may be long: what a request may bring along by naming it is bounded."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.live import LiveServer, serving, settings_for

ITEM_BYTES = 64 * 1024
# What a request may send, and so what it may bring along.
MOST_BYTES = 20 * ITEM_BYTES + 64 * 1024
TEXT = "x" * 60_000
FITS = MOST_BYTES // len(TEXT)


@pytest.fixture(scope="module")
def small_server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    path = tmp_path_factory.mktemp("references") / "hansard.db"
    shutil.copy(sqlite_template, path)
    with serving(settings_for(f"sqlite:///{path}", max_item_bytes=ITEM_BYTES)) as live:
        yield live


def test_a_few_bytes_cannot_have_any_number_of_bytes_stored(small_server: LiveServer):
    ann = small_server.newcomer()
    home = ann.http.post("/v1/conversations", json={}).json()["id"]
    named = [ann.append(home, TEXT)[0] for _ in range(2)]
    for item in ({"type": "item_reference"}, {"role": "user", "content": "y"}):
        allowed = ann.http.post("/v1/responses", json={"input": [{**item, "id": named[0]}] * FITS})
        assert allowed.status_code == 200
        for names in (named[:1] * (FITS + 1), named * (FITS // 2 + 1)):
            answer = ann.http.post("/v1/responses", json={"input": [{**item, "id": name} for name in names]})
            assert answer.status_code == 400
            error = answer.json()["error"]
            assert (error["code"], error["param"]) == ("references_too_large", "input")
            assert str(MOST_BYTES) in error["message"]


def test_no_number_of_items_is_stored_at_once(small_server: LiveServer):
    answer = small_server.newcomer().http.post("/v1/responses", json={"input": [{"role": "a"}] * 10_001})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "array_above_max_length"
    assert "10000" in answer.json()["error"]["message"]


def test_a_long_history_may_be_named_whole(small_server: LiveServer):
    ann = small_server.newcomer()
    home = ann.http.post("/v1/conversations", json={}).json()["id"]
    named = [name for start in range(0, 120, 20) for name in ann.append(home, *map(str, range(start, start + 20)))]
    asked = [{"type": "item_reference", "id": name} for name in named]
    answer = ann.sdk.responses.create(model="offline", input=asked)  # type: ignore[arg-type] # the SDK knows fewer
    stored = ann.http.get(f"/v1/responses/{answer.id}/input_items?order=asc&limit=100").json()
    assert [item["content"][0]["text"] for item in stored["data"]] == [str(number) for number in range(100)]
    assert stored["has_more"]
