"""How the page looks, loads and is used without eyes or a mouse. The pictures are kept in .cache/screenshots."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.e2e.visitor import Tab, Visitor, visiting
from tests.support.node import npm_package
from tests.support.served import Served

pytestmark = pytest.mark.asyncio(loop_scope="session")

KILOBYTES = 60
REPLY = """Here is what I would pack for **three days of rain**:

1. A shell that keeps water out
2. Two *light* layers of wool
3. Dry socks, one pair for each day

| What | Weight |
| --- | ---: |
| Shell | 310 g |
| Layers | 420 g |

```python
total = 310 + 2 * 210  # grams
```

> It is cheaper to carry it than to miss it.

More at [the hut's page](https://example.org/hut). Shall I put these on your list?"""
TALK: list[dict[str, Any]] = [
    {"role": "user", "content": "What should I take on a three day walk? It will rain the whole time."},
    {"role": "assistant", "content": REPLY},
    {"role": "user", "content": "Yes, please.\nAnd remind me to call the hut."},
    {"type": "function_call", "call_id": "c1", "name": "add_task", "arguments": '{"title":"Call the hut"}'},
    {"type": "function_call_output", "call_id": "c1", "output": '{"id":12,"title":"Call the hut"}'},
    {"role": "assistant", "content": "Added “Call the hut” (task 12)."},
]
TITLES = ["Letters for the school board", "Notes on Erskine May", "Sourdough, second attempt", "Train to Inverness"]
DESKTOP = {"width": 1200, "height": 800}
PHONE = {"width": 390, "height": 844}


@pytest_asyncio.fixture(loop_scope="session", params=["light", "dark"])
async def reader(request: pytest.FixtureRequest, chromium: Browser, served: Served) -> AsyncIterator[Visitor]:
    """Somebody with a few conversations and a theme."""
    async with visiting(chromium, served, color_scheme=request.param, viewport=DESKTOP) as somebody:
        for title in TITLES:
            somebody.converse({"role": "user", "content": title}, title=title)
        yield somebody


async def assert_accessible(tab: Tab) -> None:
    """No rule of WCAG 2, levels A and AA, is broken."""
    # Injected through the debugger: the page's own policy lets no foreign script in.
    await tab.page.evaluate((npm_package("axe-core") / "axe.min.js").read_text("utf-8") + "; undefined")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = await tab.page.evaluate("tags => axe.run({ runOnly: tags })", tags)
    assert found["passes"]
    broken = [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]]
    assert broken == []


async def test_a_conversation_in_both_themes(reader: Visitor, request: pytest.FixtureRequest):
    theme = request.node.callspec.params["reader"]
    tab = await reader.open(reader.converse(*TALK, title="Packing for a wet walk"))
    await expect(tab.messages).to_have_count(5)
    await tab.picture(f"conversation-{theme}")
    await assert_accessible(tab)
    # Everything at once that says something is wrong, or only different.
    odd = {"role": "system", "content": "Be brief."}
    broken = {"type": "message", "role": "assistant", "status": "incomplete", "content": "It brok"}
    await tab.page.goto(f"{reader.served.url}/#/c/{reader.converse(odd, *TALK, broken, title='Odd')}")
    await expect(tab.page.locator(".tail")).to_contain_text("There is no complete answer to this.")
    await tab.page.locator("summary").last.click()
    await tab.text.fill("x" * 10_001)
    await reader.context.set_offline(offline=True)
    await expect(tab.page.locator("#link")).to_have_text("Offline")
    await tab.act(TITLES[0], "Rename")
    await tab.picture(f"odd-{theme}")
    await assert_accessible(tab)


async def test_the_first_view_in_both_themes(reader: Visitor, request: pytest.FixtureRequest):
    theme = request.node.callspec.params["reader"]
    tab = await reader.open()
    await expect(tab.rows).to_have_count(len(TITLES))
    await tab.picture(f"welcome-{theme}")
    await assert_accessible(tab)
    await tab.page.get_by_role("link", name=TITLES[0]).hover()
    await tab.page.get_by_role("button", name=f"Actions for {TITLES[0]}").click()
    await tab.picture(f"menu-{theme}")
    await assert_accessible(tab)
    await tab.page.locator("#menu").get_by_role("button", name="Delete").click()
    await expect(tab.page.get_by_role("dialog")).to_be_visible()
    await assert_accessible(tab)


async def test_what_was_found_in_both_themes(reader: Visitor):
    tab = await reader.open()
    await tab.page.get_by_label("Search messages").fill("second")
    await expect(tab.page.locator("#results mark")).to_have_text("second")
    await assert_accessible(tab)


async def test_a_phone_in_both_themes(reader: Visitor, request: pytest.FixtureRequest):
    theme = request.node.callspec.params["reader"]
    tab = await reader.open(reader.converse(*TALK, title="Packing for a wet walk"))
    await tab.page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    await expect(tab.messages).to_have_count(5)
    await expect(tab.rows.first).not_to_be_in_viewport()
    await tab.picture(f"phone-{theme}")
    await assert_accessible(tab)
    assert await tab.page.evaluate("() => document.documentElement.scrollWidth") == PHONE["width"]
    await tab.page.get_by_role("button", name="Show conversations").click()
    await expect(tab.rows.first).to_be_in_viewport(ratio=1)
    await tab.picture(f"phone-list-{theme}")
    await assert_accessible(tab)
    # Escape leaves what lies on top, and only then the list.
    await tab.act(TITLES[1], "Rename")
    await tab.page.keyboard.press("Escape")
    await expect(tab.page.get_by_label("Title")).to_have_count(0)
    await tab.page.get_by_role("link", name=TITLES[1]).click()
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text(TITLES[1])
    await expect(tab.rows.first).not_to_be_in_viewport()


async def test_being_signed_out_in_both_themes(reader: Visitor, request: pytest.FixtureRequest):
    await reader.context.clear_cookies()
    tab = await reader.open()
    await expect(tab.page.get_by_role("heading", name="You are signed out")).to_be_visible()
    await tab.picture(f"signed-out-{request.node.callspec.params['reader']}")
    await assert_accessible(tab)


async def test_nothing_moves_for_those_who_do_not_want_it(chromium: Browser, served: Served):
    async with visiting(chromium, served, reduced_motion="reduce") as somebody:
        tab = await somebody.open(somebody.converse(*TALK))
        await expect(tab.messages).to_have_count(5)
        moving = "() => document.getAnimations().length"
        await tab.say("help")
        await expect(tab.messages).not_to_have_count(5)
        assert await tab.page.evaluate(moving) == 0


async def test_the_page_is_small_and_asks_for_little(visitor: Visitor):
    page = await visitor.context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(visitor.served.url)
    await expect(page.locator("#shelf-note")).to_be_visible()
    await page.wait_for_load_state("networkidle")
    assert len(asked) < 10, asked
    await page.get_by_label("Message", exact=True).fill("Show my tasks")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("#items > .reply")).to_be_visible()
    sizes = await page.evaluate(
        """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
          .filter((entry) => /\\/(page\\/.*)?$/.test(new URL(entry.name).pathname))
          .map((entry) => [entry.name, entry.transferSize])"""
    )
    assert len(sizes) > 8
    assert sum(size for _, size in sizes) < KILOBYTES * 1024, sizes
