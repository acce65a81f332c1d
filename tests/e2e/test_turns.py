"""The promise, seen: an answer goes on whatever happens to the page, and everybody who looks sees it."""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from tests.api.live import SECRET
from tests.e2e.narrator import Narrator
from tests.e2e.visitor import COOKIE, Visitor, visiting
from tests.support.ports import Port
from tests.support.scripted_upstream import scripted_upstream
from tests.support.served import Served

pytestmark = pytest.mark.asyncio(loop_scope="session")

WATCH = """
window.seen = [];
const look = () => seen.push(document.querySelector("#items > .reply .text")?.textContent ?? "");
const every = { childList: true, subtree: true, characterData: true };
new MutationObserver(look).observe(document.getElementById("items"), every);
"""
WHOLE = "If several tasks fit, I ask which one you mean"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def told_by() -> AsyncIterator[tuple[Narrator, str]]:
    """Who gives the answers, and where."""
    narrator = Narrator()
    async with scripted_upstream() as upstream:
        upstream.always("chat/completions", narrator.answer)
        yield narrator, upstream.url


@pytest.fixture
def narrator(told_by: tuple[Narrator, str]) -> Iterator[Narrator]:
    """Who stops in the middle of an answer until told to go on."""
    narrator, _ = told_by
    narrator.hold()
    yield narrator
    narrator.go_on()


@pytest.fixture(scope="session")
def slow(
    told_by: tuple[Narrator, str], sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A service whose answers take their time, as models' do."""
    folder = tmp_path_factory.mktemp("slow")
    shutil.copy(sqlite_template, folder / "hansard.db")
    server = Served(
        folder,
        JWT_SECRET_KEY=SECRET,
        HANSARD_SESSION_COOKIE=COOKIE,
        HANSARD_UPSTREAM_BASE_URL=told_by[1],
        HANSARD_UPSTREAM_MODELS="narrator",
        HANSARD_UPSTREAM_API="chat",
        HANSARD_SHUTDOWN_GRACE_SECONDS="0",
    )
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def asker(chromium: Browser, slow: Served, narrator: Narrator) -> AsyncIterator[Visitor]:
    async with visiting(chromium, slow) as somebody:
        yield somebody


async def test_an_answer_is_seen_word_by_word_and_then_stays(asker: Visitor, narrator: Narrator):
    tab = await asker.open()
    await tab.page.evaluate(WATCH)
    await tab.say("help")
    await expect(tab.message("I keep your list of tasks")).to_be_visible()
    await expect(tab.page.get_by_role("button", name="Stop")).to_be_visible()
    assert WHOLE not in await tab.messages.last.inner_text()
    narrator.go_on()
    await expect(tab.message(WHOLE)).to_be_visible()
    await expect(tab.send).to_be_visible()
    await expect(tab.messages).to_have_count(2)
    shown = await tab.messages.last.locator(".text").text_content()
    # At every moment the first words, with the spaces between them.
    seen = [re.sub(r"\n", "", text) for text in await tab.page.evaluate("seen")]
    assert len(set(seen)) > 10
    assert [text for text in seen if not re.sub(r"\n", "", str(shown)).startswith(text)] == []
    await tab.page.reload()
    await expect(tab.messages.last.locator(".text")).to_have_text(str(shown))


async def test_an_answer_that_is_quicker_than_its_acknowledgement(asker: Visitor):
    tab = await asker.open()

    async def wait_for_the_answer(route: Route) -> None:
        acknowledgement = await route.fetch()
        await expect(tab.message("I keep your list of tasks")).to_be_visible()
        await route.fulfill(response=acknowledgement)

    await tab.page.route("**/v1/responses", wait_for_the_answer)
    await tab.say("help")
    await expect(tab.message("I keep your list of tasks")).to_be_visible()
    await expect(tab.text).to_have_value("")
    await tab.page.get_by_role("button", name="Stop").click()
    await expect(tab.page.locator(".tail")).to_contain_text("Stopped.")
    await expect(tab.messages).to_have_count(2)
    assert await tab.toast.count() == 0


async def test_stopping_keeps_what_was_said_and_one_can_try_again(asker: Visitor, narrator: Narrator):
    tab = await asker.open()
    await tab.say("help")
    await expect(tab.message("I keep your list of tasks")).to_be_visible()
    await tab.page.get_by_role("button", name="Stop").click()
    await expect(tab.page.locator(".tail")).to_contain_text("Stopped.")
    stopped = asker.texts(tab.conversation_id)[-1]
    assert stopped.startswith("I keep your list of tasks")
    assert WHOLE not in stopped
    narrator.go_on()
    await tab.page.get_by_role("button", name="Try again").click()
    await expect(tab.message(WHOLE)).to_be_visible()
    assert [text for text in asker.texts(tab.conversation_id) if text == "help"] == ["help"]


async def test_a_reload_in_mid_stream_goes_on(asker: Visitor, narrator: Narrator):
    tab = await asker.open()
    await tab.say("help")
    await expect(tab.message("I keep your list of tasks")).to_be_visible()
    await tab.page.reload()
    await expect(tab.message("I keep your list of tasks")).to_be_visible()
    await expect(tab.page.get_by_role("button", name="Stop")).to_be_visible()
    narrator.go_on()
    await expect(tab.message(WHOLE)).to_be_visible()
    await expect(tab.messages).to_have_count(2)


async def test_closing_the_tab_loses_nothing(asker: Visitor, narrator: Narrator):
    tab = await asker.open()
    await tab.say("help")
    await expect(tab.message("I keep your list of tasks")).to_be_visible()
    home = tab.conversation_id
    await tab.page.close()
    narrator.go_on()
    again = await asker.open(home)
    await expect(again.message(WHOLE)).to_be_visible()
    await expect(again.messages).to_have_count(2)


async def test_two_tabs_and_two_browsers_follow_each_other(
    asker: Visitor, narrator: Narrator, chromium: Browser, slow: Served
):
    async with visiting(chromium, slow, asker.person) as elsewhere:
        home = asker.converse({"role": "assistant", "content": "Good morning."})
        tabs = [await asker.open(home), await asker.open(home), await elsewhere.open(home)]
        for tab in tabs:
            await expect(tab.message("Good morning.")).to_be_visible()
        await tabs[0].say("help")
        for tab in tabs:
            await expect(tab.messages.nth(1)).to_contain_text("help")
            await expect(tab.page.get_by_role("button", name="Stop")).to_be_visible()
        assert WHOLE not in await tabs[2].messages.last.inner_text()
        narrator.go_on()
        for tab in tabs:
            await expect(tab.message(WHOLE)).to_be_visible()
            await expect(tab.messages).to_have_count(3)
        # The other way round, and stopped by somebody else than asked.
        narrator.hold()
        await tabs[2].say("help")
        await expect(tabs[1].messages).to_have_count(5)
        await tabs[1].page.get_by_role("button", name="Stop").click()
        for tab in tabs:
            await expect(tab.page.locator(".tail")).to_contain_text("Stopped.")


async def test_who_reads_far_above_comes_back_to_an_answer_that_is_being_given(asker: Visitor, narrator: Narrator):
    turns = ({"role": role, "content": f"{role} {number}"} for number in range(250) for role in ("user", "assistant"))
    tab = await asker.open(asker.converse(*turns))
    await expect(tab.message("assistant 249")).to_be_in_viewport()
    thread = tab.page.locator("#thread")
    while not await tab.page.locator("#newer").is_visible():
        await thread.evaluate("node => { node.scrollTop = 0; }")
    body = {"conversation": tab.conversation_id, "input": "help", "background": True}
    assert asker.person.http.post("/v1/responses", json=body).status_code == 200
    await expect(tab.page.get_by_role("button", name="Stop")).to_be_visible()
    await tab.page.get_by_role("button", name="Go to the newest message").click()
    await expect(tab.message("I keep your list of tasks")).to_be_in_viewport()
    narrator.go_on()
    await expect(tab.message(WHOLE)).to_be_visible()
    await expect(tab.message("I keep your list of tasks")).to_have_count(1)


async def test_what_others_do_to_a_conversation_is_seen(asker: Visitor):
    home = asker.converse({"role": "user", "content": "Hello"}, title="Before")
    tab = await asker.open(home)
    heading = tab.page.get_by_role("heading", level=1)
    await expect(heading).to_have_text("Before")
    asker.person.http.post(f"/v1/conversations/{home}", json={"title": "After"})
    await expect(heading).to_have_text("After")
    await expect(tab.rows).to_have_text(["After"])
    await tab.text.fill("half a thought")
    asker.person.http.delete(f"/v1/conversations/{home}")
    await expect(tab.toast).to_contain_text("This conversation was deleted.")
    await expect(tab.rows).to_have_count(0)
    await expect(tab.text).to_be_focused()
    await expect(tab.text).to_have_value("half a thought")


async def stored(served: Served, conversation_id: str, word: str) -> None:
    """Return when this word of the conversation's newest answer is in the database."""
    newest = "SELECT id FROM turns WHERE conversation_id = ? ORDER BY ordinal DESC LIMIT 1"
    home = conversation_id.removeprefix("conv_")[:32]
    with closing(sqlite3.connect(served.database)) as database:
        while True:
            said = database.execute(f"SELECT data FROM turn_events WHERE turn_id = ({newest})", [home]).fetchall()
            if word in str(said):
                return
            await asyncio.sleep(0.05)


def expire_leases(served: Served) -> None:
    """Let the turns of a server that is dead be settled at once."""
    with closing(sqlite3.connect(served.database)) as database:
        database.execute("UPDATE turns SET lease_expires_at = '2020-01-01 00:00:00' WHERE status = 'in_progress'")
        database.commit()


async def test_a_server_that_dies_and_comes_back(asker: Visitor, slow: Served):
    tab, other = await asker.open(), await asker.open()
    await tab.say("Add a task to buy milk")
    await expect(tab.message("Very well.")).to_be_visible()
    await tab.say("help")
    link = tab.page.locator("#link")
    await expect(tab.message("I keep your list of tasks")).to_be_visible()
    # The last quarter of a second may be lost.
    await stored(slow, tab.conversation_id, "keep")
    slow.kill()
    expire_leases(slow)
    await expect(link).to_have_text("Reconnecting …")
    await tab.text.fill("Show my tasks")
    await other.say("To begin something new")
    await expect(other.toast).to_contain_text("Not sent. The server cannot be reached.")
    await expect(other.text).to_have_value("To begin something new")
    slow.start()
    await expect(link).to_have_text("")
    await expect(tab.page.locator(".tail")).to_contain_text("The answer broke off.")
    await expect(tab.messages.last).to_contain_text("I keep")
    await expect(tab.text).to_have_value("Show my tasks")
    await tab.text.press("Enter")
    await expect(tab.message("Show my tasks")).to_be_visible()
    texts = asker.texts(tab.conversation_id)
    assert [text for text in texts if text in {"Add a task to buy milk", "help", "Show my tasks"}] == [
        "Add a task to buy milk",
        "help",
        "Show my tasks",
    ]
    # Once more where the page itself has to be loaded anew.
    while not await other.messages.count():
        await expect(other.text).to_be_editable()
        if await other.text.input_value():
            await other.text.press("Enter")
        await other.page.wait_for_timeout(200)
    await expect(other.message("To begin something new")).to_have_count(1)
    assert asker.texts(other.conversation_id).count("To begin something new") == 1


async def test_a_model_that_cannot_be_reached_is_told_and_can_be_asked_again(
    chromium: Browser, sqlite_template: Path, tmp_path: Path
):
    shutil.copy(sqlite_template, tmp_path / "hansard.db")
    nobody = Port()
    settings = {"HANSARD_UPSTREAM_BASE_URL": f"http://127.0.0.1:{nobody}/v1", "HANSARD_UPSTREAM_MODELS": "away"}
    server = Served(tmp_path, JWT_SECRET_KEY=SECRET, HANSARD_SESSION_COOKIE=COOKIE, **settings)
    server.start()
    try:
        async with visiting(chromium, server) as somebody:
            tab = await somebody.open()
            await tab.say("Hello?")
            tail = tab.page.locator(".tail")
            await expect(tail).to_contain_text("There is no answer:")
            async with tab.page.expect_response("**/v1/responses"):
                await tail.get_by_role("button", name="Try again").click()
            await expect(tail).to_contain_text("There is no answer:")
            await tab.page.reload()
            await expect(tail).to_contain_text("There is no answer:")
            await expect(tail.get_by_role("button", name="Try again")).to_be_visible()
            assert set(somebody.texts(tab.conversation_id)) == {"Hello?"}
    finally:
        server.stop()


async def test_a_session_that_ends_keeps_the_draft(asker: Visitor):
    tab = await asker.open()
    await asker.context.clear_cookies()
    await tab.say("Do not lose this")
    await expect(tab.page.get_by_role("heading", name="You are signed out")).to_be_visible()
    await asker.sign_in()
    await tab.page.get_by_role("button", name="I have signed in").click()
    await expect(tab.text).to_have_value("Do not lose this")
    await tab.text.press("Enter")
    await expect(tab.messages.first).to_contain_text("Do not lose this")


async def test_a_locked_conversation_refuses_and_keeps_the_message(asker: Visitor):
    """Two tabs send at the same moment: before either has heard of the other's turn."""
    home = asker.converse({"role": "assistant", "content": "Good morning."})
    tab = await asker.open(home)
    await expect(tab.messages).to_have_count(1)
    await tab.page.route("**/events*", lambda route: route.abort())
    await tab.page.reload()
    body = {"conversation": home, "input": "help", "background": True}
    assert asker.person.http.post("/v1/responses", json=body).status_code == 200
    await tab.say("Me too")
    await expect(tab.toast).to_contain_text("Not sent.")
    await expect(tab.text).to_have_value("Me too")
