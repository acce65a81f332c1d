"""Hostile content stays content: nothing runs, nothing is fetched, nothing is lost."""

import random

import pytest
from playwright.async_api import expect

from tests.e2e.visitor import Tab, Visitor
from tests.support.node import naughty_strings
from tests.unit.test_markdown import PIECES

pytestmark = pytest.mark.asyncio(loop_scope="session")

ATTACKS = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "<svg/onload=window.hacked=1>",
    "[click](javascript:window.hacked=1)",
    "[click](data:text/html;base64,PHNjcmlwdD53aW5kb3cuaGFja2VkPTE8L3NjcmlwdD4=)",
    "![](https://tracker.example/pixel.png)",
    "[![](https://tracker.example/pixel.png)](https://example.org)",
    "<a href='https://example.org' onclick='window.hacked = 1'>click</a>",
    "<iframe srcdoc='<script>parent.hacked = 1</script>'></iframe>",
    "<style>body { display: none }</style><base href='https://evil.example'>",
    "<https://example.org/\u202egnp.exe> __proto__ constructor",
]
FORBIDDEN = "#items :is(script, img, iframe, style, base, object, embed, form, input, link, meta, video, audio)"


async def check(tab: Tab) -> None:
    assert await tab.page.evaluate("() => window.hacked") is None
    assert await tab.page.locator(FORBIDDEN).count() == 0
    attributes = await tab.page.evaluate(
        "() => [...document.querySelectorAll('#items *')].flatMap((node) => node.getAttributeNames())"
    )
    assert [name for name in set(attributes) if name.startswith("on") or name in {"style", "src"}] == []
    links = await tab.page.locator("#items a").evaluate_all("links => links.map((link) => [link.href, link.rel])")
    for href, rel in links:
        assert href.lower().startswith(("http:", "https:", "mailto:"))
        assert "noopener" in rel


async def test_attacks_in_replies_are_shown_and_do_nothing(visitor: Visitor):
    tab = await visitor.open(visitor.converse(*({"role": "assistant", "content": text} for text in ATTACKS)))
    await expect(tab.messages).to_have_count(len(ATTACKS))
    await check(tab)
    for text in ATTACKS[:5]:
        await expect(tab.message(text)).to_have_count(1)


async def test_attacks_in_questions_titles_and_tools_are_shown_as_they_are(visitor: Visitor):
    for text in ATTACKS:
        visitor.converse(
            {"role": "user", "content": text},
            {"type": "function_call", "call_id": text, "name": text, "arguments": text},
            {"type": "function_call_output", "call_id": text, "output": text},
            title=text,
        )
    tab = await visitor.open()
    await expect(tab.rows).to_have_count(len(ATTACKS))
    for index, text in enumerate(reversed(ATTACKS)):
        await tab.rows.nth(index).click()
        await expect(tab.page.get_by_role("heading", level=1)).to_have_text(text)
        await expect(tab.messages).to_have_count(2)
        assert await tab.messages.first.locator(".text").evaluate("node => node.textContent") == text
    await check(tab)


async def test_naughty_strings_are_verbatim_as_questions_and_harmless_as_answers(visitor: Visitor):
    strings = naughty_strings()
    questions = ["\n".join(strings[start : start + 8]) for start in range(0, len(strings), 8)]
    answers = [question.replace("\n", "\n\n") for question in questions]
    said = [
        {"role": role, "content": text}
        for turn in zip(questions, answers, strict=True)
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    tab = await visitor.open(visitor.converse(*said))
    await scroll_up(tab, len(said))
    shown = await tab.page.locator("#items > .user .text").evaluate_all("nodes => nodes.map((one) => one.textContent)")
    assert shown == questions
    await check(tab)


async def test_three_hundred_bombs_of_markdown_leave_the_page_usable(visitor: Visitor):
    chance = random.Random(7)
    longest = [9000] * 5 + [900] * 295
    bombs = [("".join(chance.choices(PIECES, k=4)) * 5000)[: chance.randint(20, most)] for most in longest]
    tab = await visitor.open(visitor.converse(*({"role": "assistant", "content": text} for text in bombs)))
    await scroll_up(tab, len(bombs))
    await check(tab)
    await tab.text.fill("still here")
    await expect(tab.send).to_be_enabled()


async def scroll_up(tab: Tab, count: int) -> None:
    """Go to the beginning of a conversation of so many messages."""
    while (shown := await tab.messages.count()) < count:
        await tab.page.locator("#thread").evaluate("node => { node.scrollTop = 0; }")
        await expect(tab.messages).not_to_have_count(shown)
    await expect(tab.messages).to_have_count(count)
