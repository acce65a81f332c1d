"""Reading: all messages in order, as smoothly in a long conversation as in a short one."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Route, expect

from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANCHOR = """() => {
  const line = document.getElementById("thread").getBoundingClientRect().top;
  const items = [...document.querySelectorAll("#items > .item")];
  const node = items.find((one) => one.getBoundingClientRect().bottom > line);
  return [node.dataset.id, Math.round(node.getBoundingClientRect().top)];
}"""

FRAMES = """() => new Promise((done) => {
  let left = 4;
  const next = () => (left-- ? requestAnimationFrame(next) : done());
  next();
})"""


def turn(number: int) -> list[dict[str, Any]]:
    reply = f"Answer {number}. " + "It *goes* on. " * (number % 40)
    return [{"role": "user", "content": f"Question {number}"}, {"role": "assistant", "content": reply}]


def long_talk(visitor: Visitor, turns: int) -> str:
    return visitor.converse(*(item for number in range(turns) for item in turn(number)))


async def test_a_long_conversation_opens_at_its_end(visitor: Visitor):
    tab = await visitor.open(long_talk(visitor, 60))
    await expect(tab.message("Answer 59.")).to_be_in_viewport()
    await expect(tab.message("Answer 0.")).to_have_count(0)


async def test_all_of_a_thousand_messages_are_reached_in_order_without_a_jump(visitor: Visitor):
    tab = await visitor.open(long_talk(visitor, 505))
    await expect(tab.message("Answer 504.")).to_be_in_viewport()
    gate = asyncio.Event()

    async def wait_at_the_gate(route: Route) -> None:
        await gate.wait()
        await route.continue_()

    await tab.page.route("**/items?order=desc*", wait_at_the_gate)
    seen: list[str] = []
    while not seen or seen[0] != "Question 0":
        # To where the next page is asked for; then what is read must stay where it is while that page comes in.
        gate.clear()
        await tab.page.locator("#thread").evaluate("node => { node.scrollTop = Math.min(node.scrollTop, 900); }")
        await tab.page.evaluate(FRAMES)
        first, before = await tab.messages.first.get_attribute("data-id"), await tab.page.evaluate(ANCHOR)
        gate.set()
        await tab.page.wait_for_function(
            "id => document.querySelector('.item').dataset.id !== id || document.querySelector('#older').hidden",
            arg=first,
        )
        await tab.page.evaluate(FRAMES)
        item, place = await tab.page.evaluate(ANCHOR)
        assert item == before[0]
        assert place == pytest.approx(before[1], abs=2)
        shown = await tab.page.locator("#items > .user .text").all_text_contents()
        assert shown == sorted(shown, key=lambda text: int(text.split()[1]))
        seen = shown
        # However far one goes, what is far away makes room.
        assert await tab.messages.count() < 600
    await tab.page.get_by_role("button", name="Go to the newest message").click()
    await expect(tab.message("Answer 504.")).to_be_in_viewport()


async def test_a_link_to_a_message_shows_it_among_its_neighbours(visitor: Visitor):
    home = long_talk(visitor, 120)
    items = visitor.person.http.get(f"/v1/conversations/{home}/items?order=asc&limit=100").json()["data"]
    [target] = [item["id"] for item in items if item["content"][0]["text"] == "Question 40"]
    tab = await visitor.open(home, target)
    await expect(tab.message("Question 40")).to_be_in_viewport()
    thread = tab.page.locator("#thread")
    for edge, text in (("node.scrollHeight", "Answer 119."), ("0", "Question 0")):
        while not await tab.message(text).count():
            await thread.evaluate(f"node => {{ node.scrollTop = {edge}; }}")
            await tab.page.evaluate(FRAMES)
        assert await tab.message(text).count() == 1


async def test_what_is_written_elsewhere_does_not_move_who_reads_above(visitor: Visitor):
    home = long_talk(visitor, 30)
    tab = await visitor.open(home)
    await expect(tab.message("Answer 29.")).to_be_in_viewport()
    await tab.page.locator("#thread").evaluate("node => { node.scrollTop -= 900; }")
    before = await tab.page.evaluate(ANCHOR)
    visitor.person.append(home, "From another device")
    await expect(tab.message("From another device")).to_have_count(1)
    item, place = await tab.page.evaluate(ANCHOR)
    assert item == before[0]
    assert place == pytest.approx(before[1], abs=2)


async def test_a_composer_that_shrinks_does_not_let_go_of_the_end(visitor: Visitor):
    tab = await visitor.open(long_talk(visitor, 30))
    await expect(tab.message("Answer 29.")).to_be_in_viewport()
    await tab.text.fill("line\n" * 7)
    await tab.page.evaluate(FRAMES)
    # All between two frames: a long message leaves the composer, and what comes is shown. Chromium takes back most of
    # what the place moves meanwhile, and not always; browsers that do not anchor it never do.
    moved = await tab.page.evaluate("""() => {
      const [box, text] = [document.getElementById("thread"), document.querySelector("#composer textarea")];
      box.style.overflowAnchor = "none";
      const before = box.scrollTop;
      text.value = "";
      text.dispatchEvent(new InputEvent("input", { bubbles: true }));
      document.elementFromPoint(100, 100); // lays out, so that the place is moved at once
      const item = document.createElement("li");
      item.style.height = "300px";
      document.getElementById("items").append(item);
      return before - box.scrollTop;
    }""")
    assert moved > 100
    await tab.page.evaluate(FRAMES)
    left = "node => node.scrollHeight - node.scrollTop - node.clientHeight"
    assert await tab.page.locator("#thread").evaluate(left) == pytest.approx(0, abs=2)


async def test_tool_calls_are_folded_with_their_answers(visitor: Visitor):
    home = visitor.converse(
        {"role": "user", "content": "Add milk"},
        {"type": "function_call", "call_id": "c1", "name": "add_task", "arguments": '{"title":"milk"}'},
        {"type": "function_call_output", "call_id": "c1", "output": '{"id":1}'},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Milk is white."}]},
        {"type": "invented_call", "thing": "unheard of"},
        {"role": "assistant", "content": "Done."},
    )
    tab = await visitor.open(home)
    await expect(tab.messages).to_have_count(5)
    call = tab.messages.nth(1).locator("details")
    await expect(call.locator("summary")).to_have_text("add_taskdone")
    await expect(call.get_by_text('"title": "milk"')).to_be_hidden()
    await call.locator("summary").click()
    await expect(call.get_by_text('"title": "milk"')).to_be_visible()
    await expect(call.get_by_text('"id": 1')).to_be_visible()
    await tab.messages.nth(2).locator("summary").click()
    await expect(tab.messages.nth(2)).to_contain_text("Milk is white.")
    await expect(tab.messages.nth(3)).to_contain_text("unheard of")


async def test_an_answer_that_broke_off_says_so_and_can_be_tried_again(visitor: Visitor):
    home = visitor.converse(
        {"role": "user", "content": "Show my tasks"},
        {"type": "message", "role": "assistant", "status": "incomplete", "content": "You have no"},
    )
    tab = await visitor.open(home)
    await expect(tab.messages.last).to_contain_text("This answer is not complete.")
    await tab.page.get_by_role("button", name="Try again").click()
    await expect(tab.messages).not_to_have_count(2)


async def test_copying_gives_the_text_as_it_was_sent(visitor: Visitor):
    await visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    text = "# A *heading*\n\n```\n  x = 1\n```\n"
    tab = await visitor.open(visitor.converse({"role": "assistant", "content": text}))
    await tab.messages.first.get_by_role("button", name="Copy", exact=True).click()
    await expect(tab.toast).to_have_text("Copied")
    assert await tab.page.evaluate("() => navigator.clipboard.readText()") == text
    await tab.messages.first.get_by_role("button", name="Copy code").click()
    await tab.page.wait_for_function("async () => await navigator.clipboard.readText() === '  x = 1\\n'")
