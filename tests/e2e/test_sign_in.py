"""Getting in and being put out: the embedded server's printed address, and what the page does without a session."""

import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.e2e.visitor import SIGN_IN
from tests.support.served import Served

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="session")
def embedded(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """What `make run` starts."""
    folder = tmp_path_factory.mktemp("embedded")
    shutil.copy(sqlite_template, folder / "hansard.db")
    server = Served(folder, HANSARD_OFFLINE_PACE_SECONDS="0")
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def context(chromium: Browser) -> AsyncIterator[BrowserContext]:
    """A browser that has never been here."""
    fresh = await chromium.new_context()
    fresh.set_default_timeout(60_000)
    yield fresh
    await fresh.close()


async def assert_signed_out(page: Page) -> None:
    await expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()


async def assert_signed_in(page: Page) -> None:
    await expect(page.get_by_label("Message", exact=True)).to_be_visible()
    await expect(page.get_by_role("heading", name="You are signed out")).to_be_hidden()


async def test_the_printed_address_signs_in_once(embedded: Served, context: BrowserContext, chromium: Browser):
    [address] = re.findall(r"http\S+#code=\S+", embedded.log())
    page = await context.new_page()
    await page.goto(address)
    await assert_signed_in(page)
    assert await page.evaluate("() => [location.hash, document.cookie]") == ["", ""]
    await page.reload()
    await assert_signed_in(page)
    async with await chromium.new_context() as elsewhere:
        stranger = await elsewhere.new_page()
        await stranger.goto(address)
        await assert_signed_out(stranger)
        await expect(stranger.locator("#signed-out-reason")).to_have_text(
            "This address was used already or has expired."
        )


async def test_pages_that_wait_are_let_in_by_a_new_address(embedded: Served, context: BrowserContext):
    waiting, page = await context.new_page(), await context.new_page()
    for one in (waiting, page):
        await one.goto(embedded.url)
        await assert_signed_out(one)
        await expect(one.get_by_text("hansard login-url")).to_be_visible()
    # Only the fragment differs, so the browser loads nothing anew.
    await page.goto(embedded.run("login-url", "--port", str(embedded.port)))
    await assert_signed_in(page)
    await assert_signed_in(waiting)


async def test_the_session_is_ours_alone_and_outlives_the_server(
    embedded: Served, context: BrowserContext, served: Served
):
    page = await context.new_page()
    await page.goto(embedded.run("login-url", "--port", str(embedded.port)))
    await assert_signed_in(page)
    # Another port is the same site to a browser, so the cookie is sent along: it must not count.
    foreign = await context.new_page()
    await foreign.goto(f"{served.url}/healthz")
    ask = "async ([url, options]) => { try { return (await fetch(url, options)).status } catch { return 'refused' } }"
    url = f"{embedded.url}/v1/conversations"
    assert await foreign.evaluate(ask, [url, {"credentials": "include"}]) == "refused"
    assert await foreign.evaluate(ask, [url, {"credentials": "include", "method": "POST", "mode": "no-cors"}]) in {
        0,
        "refused",
    }
    headers = {"X-Hansard-CSRF": "1"}
    assert await foreign.evaluate(ask, [url, {"credentials": "include", "headers": headers}]) == "refused"
    embedded.stop()
    embedded.start()
    await page.reload()
    await assert_signed_in(page)
    await expect(page.locator("#shelf-note")).to_contain_text("Write a message to begin one")
    await expect(page.locator("#conversations a")).to_have_count(0)


async def test_a_session_that_ends_leads_to_where_people_sign_in(served: Served, context: BrowserContext):
    page = await context.new_page()
    await page.goto(served.url)
    await assert_signed_out(page)
    await expect(page.get_by_role("link", name="Sign in")).to_have_attribute("href", SIGN_IN)
    await expect(page.get_by_text("hansard login-url")).to_be_hidden()
