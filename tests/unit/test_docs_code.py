"""Every block of code on every page does what the page says, against a real server where it speaks to one."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from hansard.database import migrations
from tests.plugins.stores import TEMPLATE
from tests.support.pages import ROOT, RUNNABLE, SHOWN, blocks_of, pages, reading

PAGES = {str(page.relative_to(ROOT)): blocks_of(page) for page in pages()}
RUN = {
    name: todo
    for name, found in PAGES.items()
    if (todo := [block for block in found if block.language in RUNNABLE and block.excuse is None])
}


@pytest.mark.parametrize("name", RUN)
def test_a_page_works_from_top_to_bottom(name: str, tmp_path: Path, request: pytest.FixtureRequest):
    code = "\n".join(block.code for block in RUN[name])
    with contextlib.ExitStack() as stack:
        prepared = {}
        commands = []
        if "postgresql://" in code:
            server = request.getfixturevalue("pg_server")
            prepared["database_url"] = stack.enter_context(database(server, migrated="db upgrade" not in code))
            commands.append(server.binaries.folder)
        reader = stack.enter_context(reading(tmp_path, *commands, **prepared))
        for block in RUN[name]:
            reader.follow(block)


@contextlib.contextmanager
def database(server, *, migrated: bool) -> Iterator[str]:
    """A database as the page finds it: empty where the page makes the schema."""
    if migrated:
        server.make_template(TEMPLATE, migrations.upgrade)
    url = server.clone(TEMPLATE) if migrated else server.clone()
    yield url
    server.drop(url)


@pytest.mark.parametrize("name", PAGES)
def test_a_block_is_run_or_says_what_it_is(name: str):
    unknown = [(block.line, block.language) for block in PAGES[name] if block.language not in RUNNABLE | SHOWN]
    assert unknown == []
