"""Markdown becomes a tree of known elements, whatever is in it, and never takes longer than it may."""

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.services.markdown import MOST_NODES, TEXT_CODE_POINTS, Node, parse_markdown
from tests.support.node import naughty_strings

PATIENCE = 30.0
BLOCKS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "hr"}
CELLS = {"table", "thead", "tbody", "tr", "th", "td"}
TAGS = BLOCKS | CELLS | {"em", "strong", "s", "a", "code", "br"}
SCHEMES = ("http:", "https:", "mailto:")
INLINE = ["[", "![", "](", ")", "*", "**", "_", "~~", "`", "<", "<a href=", "<!--", "]]>", "http://a", "\u202e", "a"]
LINES = ["```\n", ">", "> ", "- ", "1. ", "|", "|-|\n", "# ", "[a]: b\n", "[a][b]", "\n", "\n\n", "  \n", "\t"]
PIECES = [*INLINE, *LINES, "\\", "&", "&#0;"]


def parse(text: str) -> list[Node]:
    tree = parse_markdown(text, deadline=time.thread_time() + PATIENCE)
    assert tree is not None
    return tree


def elements(nodes: list[Node]) -> list[dict[str, Any]]:
    """Every element of a tree."""
    found, waiting = [], list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            found.append(node)
            waiting += node["children"]
    return found


def said(nodes: list[Node]) -> str:
    """The text of a tree."""
    return "".join(node if isinstance(node, str) else said(node["children"]) for node in nodes)


def paragraph(*children: Node) -> list[Node]:
    return [{"tag": "p", "children": list(children)}]


@pytest.mark.parametrize(
    "text, tree",
    [
        ("", []),
        ("two *plain* words", paragraph("two ", {"tag": "em", "children": ["plain"]}, " words")),
        ("a\nb  \nc", paragraph("a\nb", {"tag": "br", "children": []}, "c")),
        ("`x < y`", paragraph({"tag": "code", "children": ["x < y"]})),
        ("```py rest\nx\n```", [{"tag": "pre", "attrs": {"lang": "py"}, "children": ["x\n"]}]),
        ("    x", [{"tag": "pre", "children": ["x\n"]}]),
        (
            "- a\n- b",
            [{"tag": "ul", "children": [{"tag": "li", "children": ["a"]}, {"tag": "li", "children": ["b"]}]}],
        ),
        ("3. a", [{"tag": "ol", "attrs": {"start": 3}, "children": [{"tag": "li", "children": ["a"]}]}]),
        (
            "<mailto:ann@example.org>",
            paragraph(
                {"tag": "a", "attrs": {"href": "mailto:ann@example.org"}, "children": ["mailto:ann@example.org"]}
            ),
        ),
    ],
)
def test_a_text_becomes_its_tree(text: str, tree: list[Node]):
    assert parse(text) == tree


def test_a_table_keeps_its_alignment():
    [table] = parse("|a|b|\n|-|:-:|\n|1|2|")
    cells = [(cell["tag"], cell.get("attrs"), cell["children"]) for cell in reversed(elements([table]))]
    assert ("th", {"align": "center"}, ["b"]) in cells
    assert ("td", None, ["1"]) in cells


@pytest.mark.parametrize(
    "text",
    ["<b>bold</b>", "<script>alert(1)</script>", "<!-- hidden -->", "<img src=x onerror=alert(1)>", "&lt;b&gt;"],
)
def test_raw_html_stays_text(text: str):
    assert said(parse(text)) == text.replace("&lt;", "<").replace("&gt;", ">")


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java&#x73;cript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "/relative",
        "//host/path",
        "#fragment",
        "blob:x",
        "tel:1",
    ],
)
@pytest.mark.parametrize("form", ["[label]({})", "![label]({})", "[label]: {}\n\n[label]", "<{}>"])
def test_only_web_and_mail_addresses_become_links(form: str, target: str):
    assert [node for node in elements(parse(form.format(target))) if node["tag"] == "a"] == []


def test_an_image_is_a_link_and_within_a_link_its_words():
    image = {"tag": "a", "attrs": {"href": "https://example.org/i.png"}, "children": ["a cat"]}
    assert parse("![a cat](https://example.org/i.png)") == paragraph(image)
    assert parse("![](https://example.org/i.png)")[0]["children"][0]["children"] == ["https://example.org/i.png"]  # type: ignore[index]
    outer = {"tag": "a", "attrs": {"href": "https://example.org"}, "children": ["a cat"]}
    assert parse("[![a cat](https://example.org/i.png)](https://example.org)") == paragraph(outer)


def check(tree: list[Node] | None) -> None:
    if tree is None:
        return
    for node in elements(tree):
        assert node["tag"] in TAGS
        href = node.get("attrs", {}).get("href", "https:")
        assert href.lower().startswith(SCHEMES)
    json.dumps(tree)


def test_naughty_strings_make_known_elements():
    for text in naughty_strings():
        check(parse(text))


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_makes_known_elements(text: str):
    check(parse_markdown(text, deadline=time.thread_time() + PATIENCE))


def test_no_text_is_parsed_after_the_deadline():
    assert parse_markdown("a", deadline=time.thread_time()) is None


@pytest.mark.parametrize("seed", range(10))
def test_bombs_are_parsed_or_given_up(seed: int):
    """Each of the 300 repeats a few marks for as long as a text may be: without a deadline some would take hours."""
    chance = random.Random(seed)
    for _ in range(30):
        mark = "".join(chance.choices(PIECES, k=chance.randint(1, 4)))
        bomb = (mark * TEXT_CODE_POINTS)[: chance.randint(1000, TEXT_CODE_POINTS)]
        check(parse_markdown(bomb, deadline=time.thread_time() + 0.02))


@pytest.mark.parametrize(
    "text",
    ["x" * (TEXT_CODE_POINTS + 1), ">" * 1000, "> - " * 1000, "*a* " * MOST_NODES],
    ids=["long", "deep", "deep lists", "manifold"],
)
def test_what_is_beyond_a_limit_is_left_to_be_shown_as_it_is(text: str):
    assert parse_markdown(text, deadline=time.thread_time() + PATIENCE) is None


def test_what_is_just_deep_enough_is_whole():
    assert said(parse("> " * 20 + "bottom")) == "bottom"
