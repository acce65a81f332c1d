"""Ask services that are in trouble, or told to be strict: the examples of errors that a sound one never answers."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from fastapi import FastAPI

from hansard.api.auth import issue_token
from hansard.config import Settings
from tests.api.live import SECRET, TTL, request_log, serving, settings_for
from tests.support.http_teller import Teller

_GIVEN_UP = 408


def tell_of_troubles(teller: Teller, settings: Settings, folder: Path) -> None:
    """Ask until each has refused: services at the database of these settings, and one at an empty one in the folder."""
    strict = {"provision_users": False, "rate_limit": "1/minute", "body_seconds": 0.1}
    sound = settings_for(settings.database_url.get_secret_value())
    with _asking(teller, sound.model_copy(update=strict)):
        teller.ask("createConversation", "A user who is not known", body={}, headers=_user("stranger"))
        with request_log() as answered:

            def body() -> Iterator[bytes]:
                # It comes when the server has given it up.
                while getattr(answered.get(timeout=60), "status", None) != _GIVEN_UP:
                    pass
                yield json.dumps({}).encode()

            teller.ask("createConversation", "A body that does not come", content=body(), headers=_user("slow"))
        teller.ask("createConversation", "Too many", body={}, headers=_user("slow"))
    with _asking(teller, settings_for(f"sqlite:///{folder}/empty.db")):
        teller.ask("listConversations", "The database is not ready", headers=_user("early"))
    broken: list[FastAPI] = []
    with _asking(teller, sound, prepare=broken.append):
        [app] = broken
        app.state.edge = dataclasses.replace(app.state.edge, store=None)
        teller.ask("listConversations", "An error of ours", headers=_user("unlucky"))


@contextlib.contextmanager
def _asking(
    teller: Teller, settings: Settings, *, prepare: Callable[[FastAPI], None] = lambda _: None
) -> Iterator[None]:
    with serving(settings, prepare=prepare) as live, httpx.Client(base_url=live.url, timeout=60) as client:
        before, teller.client = teller.client, client
        yield
        teller.client = before


def _user(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {issue_token(SECRET.encode(), name, ttl=TTL)}"}
