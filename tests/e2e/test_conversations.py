"""The list of conversations: found, named, put away and deleted where one sees them."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = {"role": "user", "content": "Hello"}


async def test_an_empty_list_says_how_to_begin(visitor: Visitor):
    tab = await visitor.open()
    await expect(tab.page.locator("#shelf-note")).to_contain_text("Write a message to begin one")
    await tab.page.get_by_role("button", name="Show my tasks").click()
    await expect(tab.text).to_have_value("Show my tasks")
    await expect(tab.text).to_be_focused()


async def test_the_list_grows_as_one_scrolls_and_is_in_order(visitor: Visitor):
    for number in range(75):
        visitor.converse(HELLO, title=f"Talk {number}")
    tab = await visitor.open()
    await expect(tab.rows).to_have_count(30)
    for count in (60, 75):
        await tab.rows.last.scroll_into_view_if_needed()
        await expect(tab.rows).to_have_count(count)
    assert await tab.rows.all_text_contents() == [f"Talk {number}" for number in reversed(range(75))]


async def test_a_title_is_changed_in_place_and_stays(visitor: Visitor):
    visitor.converse(HELLO, title="Old")
    tab = await visitor.open()
    await tab.act("Old", "Rename")
    field = tab.page.get_by_label("Title")
    await field.fill("  New & <b>better</b>  ")
    await field.press("Enter")
    await expect(tab.rows).to_have_text(["New & <b>better</b>"])
    await tab.act("New & <b>better</b>", "Rename")
    await field.fill("Never")
    await field.press("Escape")
    await expect(tab.rows).to_have_text(["New & <b>better</b>"])
    [stored] = visitor.person.http.get("/v1/conversations").json()["data"]
    assert (stored["title"], stored["title_source"]) == ("New & <b>better</b>", "user")


async def test_the_open_conversation_is_named_where_its_title_stands(visitor: Visitor):
    home = visitor.converse(HELLO, title="Far down")
    for number in range(31):
        visitor.converse(HELLO, title=f"Talk {number}")
    tab = await visitor.open(home)
    heading = tab.page.get_by_role("heading", level=1)
    await expect(heading).to_have_text("Far down")
    await tab.page.get_by_role("button", name="Actions for this conversation").click()
    await tab.page.locator("#menu").get_by_role("button", name="Rename").click()
    await tab.page.get_by_label("Title").fill("Brought up")
    await tab.page.get_by_label("Title").press("Enter")
    await expect(heading).to_have_text("Brought up")
    assert visitor.person.http.get(f"/v1/conversations/{home}").json()["title"] == "Brought up"


async def test_what_is_archived_is_seen_there_and_comes_back(visitor: Visitor):
    visitor.converse(HELLO, title="Put away")
    visitor.converse(HELLO, title="Kept")
    tab = await visitor.open()
    await tab.act("Put away", "Archive")
    await expect(tab.rows).to_have_text(["Kept"])
    await tab.page.get_by_role("button", name="Archived", exact=True).click()
    await expect(tab.rows).to_have_text(["Put away"])
    await tab.act("Put away", "Unarchive")
    await expect(tab.page.locator("#shelf-note")).to_have_text("Nothing is archived.")
    await tab.page.get_by_role("button", name="Active", exact=True).click()
    await expect(tab.rows).to_have_text(["Kept", "Put away"])
    await tab.act("Kept", "Archive")
    await tab.toast.get_by_role("button", name="Undo").click()
    await expect(tab.rows).to_have_text(["Kept", "Put away"])


async def test_deleting_asks_first(visitor: Visitor):
    home = visitor.converse(HELLO, title="Doomed")
    tab = await visitor.open(home)
    await expect(tab.messages).to_have_count(1)
    await tab.act("Doomed", "Delete")
    dialog = tab.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Delete “Doomed” with all its messages?")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(tab.rows).to_have_text(["Doomed"])
    await tab.act("Doomed", "Delete")
    await dialog.get_by_role("button", name="Delete").click()
    await expect(tab.rows).to_have_count(0)
    await expect(tab.page).to_have_url(re.compile(r"#/$"))
    await expect(tab.messages).to_have_count(0)
    assert visitor.person.http.get(f"/v1/conversations/{home}").status_code == 404


async def test_what_one_tab_does_the_other_shows(visitor: Visitor):
    visitor.converse(HELLO, title="Shared")
    one, other = await visitor.open(), await visitor.open()
    await expect(other.rows).to_have_text(["Shared"])
    await one.act("Shared", "Rename")
    await one.page.get_by_label("Title").fill("Renamed")
    await one.page.get_by_label("Title").press("Enter")
    await expect(other.rows).to_have_text(["Renamed"])


async def test_the_list_is_walked_by_the_keyboard(visitor: Visitor):
    for number in range(3):
        visitor.converse(HELLO, title=f"Talk {number}")
    tab = await visitor.open()
    await tab.page.keyboard.press("Control+k")
    await expect(tab.page.get_by_label("Search messages")).to_be_focused()
    await tab.page.get_by_role("button", name="Write a message").press("Enter")
    await expect(tab.text).to_be_focused()
    await tab.rows.first.focus()
    await tab.page.keyboard.press("ArrowDown")
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Talk 1")
    await tab.rows.nth(1).focus()
    await tab.page.keyboard.press("Tab")
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.locator("#menu").get_by_role("button", name="Rename")).to_be_focused()
    await tab.page.keyboard.press("Escape")
    await expect(tab.page.get_by_role("button", name="Actions for Talk 1")).to_be_focused()


async def test_somebody_elses_conversation_looks_like_a_missing_one(visitor: Visitor):
    tab = await visitor.open("conv_" + "0" * 48)
    await expect(tab.toast).to_contain_text("There is no such conversation, or it is not yours.")
    await expect(tab.page.locator("#welcome")).to_be_visible()
