"""Finding what was said: as one types, with the words marked, and from there to where they were said."""

import pytest
from playwright.async_api import expect

from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_words_are_found_as_one_types_and_marked(visitor: Visitor):
    visitor.converse(
        {"role": "user", "content": "Where is the <b>lighthouse</b> of Skerryvore?"},
        {"role": "assistant", "content": "South of Tiree."},
        title="Scotland",
    )
    visitor.converse({"role": "user", "content": "Bake bread"}, title="Bread")
    tab = await visitor.open()
    await expect(tab.rows).to_have_count(2)
    query, results = tab.page.get_by_label("Search messages"), tab.page.locator("#results a")
    await query.press_sequentially("light")
    await expect(results).to_have_count(1)
    await expect(results).to_contain_text("Scotland")
    await expect(results).to_contain_text("Where is the <b>lighthouse</b> of Skerryvore?")
    await expect(results.locator("mark").first).to_have_text("lighthouse")
    await expect(tab.rows.first).to_be_hidden()
    await tab.picture("search")
    await query.fill("lighthouse xylophone")
    await expect(tab.page.locator("#shelf-note")).to_have_text("Nothing was found.")
    await expect(results).to_have_count(0)
    await query.fill('"')
    await expect(tab.page.locator("#shelf-note")).not_to_have_text("Nothing was found.")
    await query.fill("")
    await expect(tab.rows).to_have_count(2)
    await expect(tab.rows.first).to_be_visible()


async def test_a_find_leads_to_its_message_among_its_neighbours(visitor: Visitor):
    words = [f"word{number}" for number in range(100)]
    home = visitor.converse(*({"role": "user", "content": f"This is {word}."} for word in words))
    tab = await visitor.open(home)
    await expect(tab.message("word99")).to_be_in_viewport()
    await expect(tab.message("This is word20.")).to_have_count(0)
    await tab.page.get_by_label("Search messages").fill("word20")
    await tab.page.locator("#results a").click()
    await expect(tab.message("This is word20.")).to_be_in_viewport()
    await expect(tab.message("This is word19.")).to_be_in_viewport()
    await tab.page.get_by_role("button", name="Go to the newest message").click()
    await expect(tab.message("word99")).to_be_in_viewport()


async def test_results_go_on_as_one_scrolls(visitor: Visitor):
    visitor.converse(*({"role": "user", "content": f"Sheep number {number}"} for number in range(45)))
    tab = await visitor.open()
    await tab.page.get_by_label("Search messages").fill("sheep")
    results = tab.page.locator("#results a")
    for count in (20, 40, 45):
        await expect(results).to_have_count(count)
        await results.last.scroll_into_view_if_needed()
    assert len(set(await results.all_text_contents())) == 45


async def test_nobody_finds_what_others_said(visitor: Visitor):
    tab = await visitor.open()
    await tab.page.get_by_label("Search messages").fill("sheep")
    await expect(tab.page.locator("#shelf-note")).to_have_text("Nothing was found.")
