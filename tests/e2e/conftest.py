"""Fixtures of the browser tests: a Chromium, a running service, and visitors who are signed in."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.api.live import SECRET
from tests.e2e.visitor import COOKIE, SIGN_IN, Visitor, visiting
from tests.support.browser import ARGUMENTS, find_chromium
from tests.support.served import Served

# A bound for what never comes, on a machine that is busy with other tests.
expect.set_options(timeout=60_000)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A browser; every visitor has a profile of their own in it."""
    found = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found.program, args=ARGUMENTS, env={**os.environ, **found.environment}
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service whose users another application signs in."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(sqlite_template, folder / "hansard.db")
    settings = {"HANSARD_SESSION_COOKIE": COOKIE, "HANSARD_SIGN_IN_URL": SIGN_IN, "HANSARD_OFFLINE_PACE_SECONDS": "0"}
    server = Served(folder, JWT_SECRET_KEY=SECRET, **settings)
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(chromium: Browser, served: Served) -> AsyncIterator[Visitor]:
    """Somebody who is signed in and has never written anything."""
    async with visiting(chromium, served) as newcomer:
        yield newcomer
