"""Pages can be found, lead somewhere, and name only what exists."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token

from hansard.cli.main import app
from tests.support.pages import ROOT, pages

PAGES = {str(page.relative_to(ROOT)): page for page in pages()}
DECISIONS = ROOT / "docs" / "decisions"
DECIDED = {page.name: page for page in sorted(DECISIONS.glob("[0-9]*.md"))}
PARTS = ["Context", "Decision", "Consequences", "Alternatives"]
SCREEN = 70
MADE = re.compile(r"(?:tests|backend|docs|specs|benchmarks|examples)/[\w./*-]+")


def inline(page: Path) -> Iterator[Token]:
    """The words, links and pieces of code between the blocks."""
    for token in MarkdownIt().enable("table").parse(page.read_text()):
        yield from token.children or ()


def links(page: Path) -> set[str]:
    """Where the page links to, other sites left out."""
    found = {str(token.attrs["href"]) for token in inline(page) if token.type == "link_open"}
    return {link for link in found if "://" not in link}


@cache
def anchors(page: Path) -> set[str]:
    """What can stand behind the `#` of a link to the page, in GitHub's spelling."""
    tokens = MarkdownIt().parse(page.read_text())
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(name: str, command: object) -> Iterator[str]:
    """Every command of the command line."""
    yield name
    for child_name, child in getattr(command, "commands", {}).items():
        yield from commands(f"{name} {child_name}", child)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str):
    page = PAGES[name]
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme():
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            ahead += [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if link[0] != "#"]
    assert set(PAGES.values()) - reached == set()


@pytest.mark.parametrize("name", PAGES)
def test_files_that_are_named_exist(name: str):
    named = {
        found for token in inline(PAGES[name]) if token.type == "code_inline" for found in MADE.findall(token.content)
    }
    assert [path for path in sorted(named) if not list(ROOT.glob(path.rstrip("/")))] == []


@pytest.mark.parametrize("name", PAGES)
def test_commands_that_are_named_exist(name: str):
    text = PAGES[name].read_text()
    known = set(commands("hansard", typer.main.get_command(app)))
    named = {" ".join(words.split()) for words in re.findall(r"`hansard ((?:db )?[a-z][a-z-]*)", text)}
    assert {f"hansard {words}" for words in named} - known == set()
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE)) - verbs == set()


def test_every_example_is_listed():
    listed = {link for link in links(ROOT / "examples" / "README.md") if "/" not in link}
    assert listed == {script.name for script in (ROOT / "examples").glob("*.py")}


def test_every_decision_has_its_own_number_and_is_listed():
    assert len({name[:4] for name in DECIDED}) == len(DECIDED)
    listed = {link for link in links(DECISIONS / "README.md") if re.match(r"\d{4}-", link)}
    assert listed == set(DECIDED)


@pytest.mark.parametrize("name", DECIDED)
def test_a_decision_has_its_parts_and_fits_a_screen(name: str):
    text = DECIDED[name].read_text()
    assert re.match(rf"# {name[:4]}: \S", text)
    assert [part for part in re.findall(r"^## (.+)$", text, re.MULTILINE) if part in PARTS] == PARTS
    assert len(text.splitlines()) <= SCREEN


def test_decisions_that_the_code_names_exist():
    named = {
        found
        for source in (ROOT / "backend").rglob("*.py")
        for found in re.findall(r"docs/decisions/(\d{4}-[\w-]+\.md)", source.read_text())
    }
    assert named - set(DECIDED) == set()
