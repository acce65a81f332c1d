"""Writing a message: nothing typed is lost, nothing is sent by accident."""

import asyncio

import pytest
from playwright.async_api import Route, expect

from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_message_begins_a_conversation_and_is_answered(visitor: Visitor):
    tab = await visitor.open()
    await tab.say("Add a task to buy milk")
    await expect(tab.message("Added “buy milk”")).to_be_visible()
    await expect(tab.rows).to_have_text(["Add a task to buy milk"])
    await expect(tab.text).to_have_value("")
    assert visitor.texts(tab.conversation_id)[0] == "Add a task to buy milk"


async def test_shift_enter_begins_a_line_and_the_text_is_kept_verbatim(visitor: Visitor):
    tab = await visitor.open()
    text = "  <b>one</b>\n\n*two*  &amp; \N{GRINNING FACE}"
    await tab.text.fill("  <b>one</b>")
    await tab.text.press("Shift+Enter")
    await tab.text.press("Shift+Enter")
    await tab.text.press_sequentially("*two*  &amp; ")
    await tab.page.keyboard.insert_text("\N{GRINNING FACE}")
    await tab.text.press("Enter")
    shown = tab.messages.first.locator(".text")
    await expect(shown).to_be_visible()
    assert await shown.evaluate("node => node.textContent") == text
    assert await shown.locator("*").count() == 0
    assert visitor.texts(tab.conversation_id)[0] == text


async def test_enter_that_picks_a_word_of_an_input_method_does_not_send(visitor: Visitor):
    tab = await visitor.open()
    await tab.text.focus()
    client = await visitor.context.new_cdp_session(tab.page)
    await client.send("Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3})
    for kind in ("rawKeyDown", "keyUp"):
        # What a browser sends for a key that the input method takes.
        await client.send("Input.dispatchKeyEvent", {"type": kind, "key": "Process", "windowsVirtualKeyCode": 229})
    await tab.text.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True, "cancelable": True})
    await expect(tab.text).to_have_value("にほん")
    await client.send("Input.insertText", {"text": "日本"})
    await expect(tab.text).to_have_value("日本")
    assert await tab.messages.count() == 0
    await tab.text.press("Enter")
    await expect(tab.messages.first).to_contain_text("日本")


async def test_the_limit_is_counted_in_code_points_as_one_types(visitor: Visitor):
    tab = await visitor.open()
    count = tab.page.locator("#count")
    await tab.text.fill("\N{GRINNING FACE}" * 10_000)
    await expect(count).to_have_text("10,000 / 10,000")
    await expect(tab.send).to_be_enabled()
    await tab.text.press_sequentially("x")
    await expect(count).to_have_text("10,001 / 10,000")
    await expect(tab.send).to_be_disabled()
    await tab.text.press("Enter")
    assert await tab.messages.count() == 0
    await tab.text.press("Backspace")
    await tab.text.press("Enter")
    await expect(tab.messages.first).to_be_visible()
    assert visitor.texts(tab.conversation_id)[0] == "\N{GRINNING FACE}" * 10_000


async def test_an_empty_message_cannot_be_sent(visitor: Visitor):
    tab = await visitor.open()
    await tab.text.fill(" \n ")
    await expect(tab.send).to_be_disabled()
    await tab.text.press("Enter")
    assert visitor.person.http.get("/v1/conversations").json()["data"] == []


async def test_drafts_belong_to_their_conversation_and_survive_reload_and_close(visitor: Visitor):
    home = visitor.converse({"role": "user", "content": "Hello"})
    tab = await visitor.open()
    await tab.text.fill("to be begun")
    await tab.rows.first.click()
    await expect(tab.text).to_have_value("")
    await tab.text.fill("to be continued")
    await tab.page.get_by_role("link", name="New", exact=True).click()
    await expect(tab.text).to_have_value("to be begun")
    await tab.page.reload()
    await expect(tab.text).to_have_value("to be begun")
    await tab.page.close()
    again = await visitor.open(home)
    await expect(again.text).to_have_value("to be continued")


async def test_sending_while_offline_is_refused_and_the_draft_stays(visitor: Visitor):
    tab = await visitor.open()
    await visitor.context.set_offline(offline=True)
    await tab.say("Are you there?")
    await expect(tab.toast).to_contain_text("Not sent. You are offline.")
    await expect(tab.text).to_have_value("Are you there?")
    await expect(tab.text).to_be_editable()
    await visitor.context.set_offline(offline=False)
    await tab.text.press("Enter")
    await expect(tab.messages.first).to_contain_text("Are you there?")
    await expect(tab.text).to_have_value("")


async def test_what_is_sent_before_its_conversation_is_there_goes_into_it(visitor: Visitor):
    home = visitor.converse({"role": "assistant", "content": "Good morning."})
    gate = asyncio.Event()

    async def wait_at_the_gate(route: Route) -> None:
        await gate.wait()
        await route.continue_()

    await visitor.context.route("**/conversation.js", wait_at_the_gate, times=1)
    tab = await visitor.open(home)
    await expect(tab.rows).to_have_count(1)
    await tab.say("Show my tasks")
    await expect(tab.page.locator("#composer")).to_have_attribute("aria-busy", "true")
    gate.set()
    await expect(tab.message("Show my tasks")).to_be_visible()
    await expect(tab.rows).to_have_count(1)
    assert visitor.texts(home)[:2] == ["Good morning.", "Show my tasks"]


async def test_an_acknowledgement_that_comes_after_the_whole_answer(visitor: Visitor):
    tab = await visitor.open()

    async def wait_for_the_answer(route: Route) -> None:
        acknowledgement = await route.fetch()
        await expect(tab.messages).to_have_count(3)
        await expect(tab.send).to_be_visible()
        await route.fulfill(response=acknowledgement)

    await tab.page.route("**/v1/responses", wait_for_the_answer)
    await tab.say("Show my tasks")
    await expect(tab.text).to_have_value("")
    await expect(tab.send).to_be_visible()
    await expect(tab.page.locator(".tail")).to_have_count(0)
    await expect(tab.messages).to_have_count(3)


async def test_a_message_whose_answer_was_lost_is_sent_once(visitor: Visitor):
    tab = await visitor.open()
    lost = 0

    async def lose_the_answer(route):
        nonlocal lost
        await route.fetch()
        lost += 1
        await route.abort()

    await tab.page.route("**/v1/responses", lose_the_answer, times=1)
    await tab.say("Add a task to buy milk")
    await expect(tab.toast).to_contain_text("Not sent")
    await expect(tab.text).to_have_value("Add a task to buy milk")
    await tab.page.reload()
    await expect(tab.message("Added “buy milk”")).to_be_visible()
    await expect(tab.send).to_be_visible()
    await expect(tab.text).to_have_value("Add a task to buy milk")
    await tab.text.press("Enter")
    await expect(tab.text).to_have_value("")
    assert lost == 1
    assert visitor.texts(tab.conversation_id).count("Add a task to buy milk") == 1
