"""Every block of code on every page does what the page says, against a real server where it speaks to one."""

from pathlib import Path

import pytest

from tests.support.pages import ROOT, RUNNABLE, SHOWN, blocks_of, pages, reading

PAGES = {str(page.relative_to(ROOT)): blocks_of(page) for page in pages()}
RUN = {
    name: todo
    for name, found in PAGES.items()
    if (todo := [block for block in found if block.language in RUNNABLE and block.excuse is None])
}


@pytest.mark.parametrize("name", RUN)
def test_a_page_works_from_top_to_bottom(name: str, tmp_path: Path, request: pytest.FixtureRequest):
    speaks_to_postgres = any("postgresql://" in block.code for block in RUN[name])
    url = request.getfixturevalue("pg_empty_url") if speaks_to_postgres else None
    with reading(tmp_path, database_url=url) as reader:
        for block in RUN[name]:
            reader.follow(block)


@pytest.mark.parametrize("name", PAGES)
def test_a_block_is_run_or_says_what_it_is(name: str):
    unknown = [(block.line, block.language) for block in PAGES[name] if block.language not in RUNNABLE | SHOWN]
    assert unknown == []
