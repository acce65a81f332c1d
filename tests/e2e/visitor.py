"""Somebody at the page: a browser profile, a user, and the same user's programs."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.api.live import Person
from tests.support.served import Served

COOKIE = "session"
SIGN_IN = "https://app.example.org/sign-in?to=chat"
SCREENSHOTS = Path(__file__).resolve().parents[2] / ".cache" / "screenshots"
_BREACHES = ("Content Security Policy", "Trusted", "Refused to")


class Visitor:
    """A signed-in user with tabs; `errors` gathers what no visit may cause."""

    def __init__(self, served: Served, person: Person, context: BrowserContext) -> None:
        self.served = served
        self.person = person
        self.context = context
        self.errors: list[str] = []

    async def sign_in(self) -> None:
        """Hand the user's token over, as the application does that signs people in."""
        url = self.served.url
        await self.context.add_cookies([{"name": COOKIE, "value": self.person.key, "url": url, "sameSite": "Strict"}])

    async def open(self, conversation_id: str | None = None, item_id: str | None = None) -> "Tab":
        """Open a tab, at a conversation or at an item of it."""
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._read)
        tab = Tab(page)
        parts = [part for part in (conversation_id, item_id) if part]
        await page.goto(f"{self.served.url}/#/c/{'/'.join(parts)}" if parts else self.served.url)
        return tab

    def converse(self, *items: dict[str, Any], title: str | None = None) -> str:
        """Store a conversation as a program would, and return its id."""
        http = self.person.http
        made: str = http.post("/v1/conversations", json={"title": title} if title else {}).json()["id"]
        for start in range(0, len(items), 20):
            answer = http.post(f"/v1/conversations/{made}/items", json={"items": items[start : start + 20]})
            assert answer.status_code == 200, answer.text
        return made

    def texts(self, conversation_id: str) -> list[str]:
        """What is stored of a conversation's messages, in order."""
        answer = self.person.http.get(f"/v1/conversations/{conversation_id}/items?order=asc&limit=100").json()
        return [item["content"][0]["text"] for item in answer["data"] if item["type"] == "message"]

    def _read(self, message: ConsoleMessage) -> None:
        if any(breach in message.text for breach in _BREACHES):
            self.errors.append(message.text)


class Tab:
    """One open page, and the parts of it a person looks at."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.text = page.get_by_label("Message", exact=True)
        self.send = page.get_by_role("button", name="Send")
        self.messages = page.locator("#items > .item")
        self.rows = page.locator("#conversations a")
        self.toast = page.locator(".toast")

    async def say(self, text: str) -> None:
        """Write a message and send it, once nobody is answering any more."""
        await self.text.fill(text)
        await expect(self.send).to_be_enabled()
        await self.text.press("Enter")

    def message(self, text: str) -> Locator:
        """The messages that contain a text."""
        return self.messages.filter(has_text=text)

    async def act(self, title: str, action: str) -> None:
        """Choose from the menu of a conversation in the list."""
        await self.page.get_by_role("link", name=title).hover()
        await self.page.get_by_role("button", name=f"Actions for {title}").click()
        await self.page.locator("#menu").get_by_role("button", name=action).click()

    @property
    def conversation_id(self) -> str:
        """The conversation that the address names."""
        return self.page.url.rpartition("#/c/")[2].partition("/")[0]

    async def picture(self, name: str) -> bytes:
        """Keep a screenshot among the build's artefacts."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        return await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")


@contextlib.asynccontextmanager
async def visiting(
    browser: Browser, served: Served, person: Person | None = None, **options: Any
) -> AsyncIterator[Visitor]:
    """Let somebody visit; afterwards nothing was refused by the browser and nobody else was asked for anything."""
    someone = person or newcomer(served)
    context = await browser.new_context(locale="en-GB", timezone_id="Europe/London", **options)
    context.set_default_timeout(60_000)
    asked: set[str] = set()
    context.on("request", lambda request: asked.add(request.url))
    visitor = Visitor(served, someone, context)
    await visitor.sign_in()
    try:
        yield visitor
    finally:
        await context.close()
        if person is None:
            someone.close()
    assert visitor.errors == []
    assert [url for url in asked if not url.startswith((f"{served.url}/", "data:"))] == []


def newcomer(served: Served) -> Person:
    """Somebody the service has never seen; the caller closes them."""
    return Person(f"user-{uuid4()}", served.url)


__all__ = ["COOKIE", "SIGN_IN", "Tab", "Visitor", "expect", "newcomer", "visiting"]
