"""Read the conversation: what was said last, and does it answer a question of ours?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from hansard.agents.offline.intents import Add, Complete, Delete, Help, Intent, Rename, Reopen
from hansard.agents.offline.plans import Shown
from hansard.agents.offline.sentences import parse, unquote
from hansard.agents.offline.wording import QUESTIONS
from hansard.models.kinds import call_id_of
from hansard.models.limits import JsonObject

# A question may itself be the answer's answer; nobody asks back more often than this.
_REACH = 12


class Said(NamedTuple):
    """Hold one message's speaker and text."""

    role: str
    text: str


def messages(history: Sequence[JsonObject]) -> list[Said]:
    """Return the last messages of user and assistant, oldest first."""
    said = [
        Said(item["role"], text_of(item))
        for item in history[-_REACH * 4 :]
        if item.get("type", "message") == "message" and item.get("role") in {"user", "assistant"}
    ]
    return said[-_REACH:]


def text_of(item: JsonObject) -> str:
    """Return the text of a message; images and files have none."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def understand(said: Sequence[Said]) -> Intent:
    """Return what the last message wants, by itself or as the answer to the question before it."""
    text = said[-1].text
    intent = parse(text)
    if intent != Help(asked=False) or len(said) < 3:  # noqa: PLR2004 - request, question, answer
        return intent
    request, question = said[-3:-1]
    if request.role != "user" or question.role != "assistant" or not question.text.startswith(QUESTIONS):
        return intent
    return _answered(understand(said[:-2]), unquote(text)) or intent


def last_listing(history: Sequence[JsonObject]) -> Shown | None:
    """Return the list shown last, when there is more of it."""
    outputs: dict[object, object] = {}
    for item in reversed(history):
        kind = item.get("type")
        if kind == "function_call_output":
            outputs[call_id_of(item)] = item.get("output")
        elif kind == "function_call" and item.get("name") == "list_tasks":
            return _shown(item.get("arguments"), outputs.get(call_id_of(item)))
    return None


def _answered(intent: Intent, answer: str) -> Intent | None:
    if isinstance(intent, Add):
        return Add(answer)
    if isinstance(intent, Complete | Reopen | Delete):
        return replace(intent, target=answer)
    if isinstance(intent, Rename) and not intent.readings[0][1]:
        return Rename(((intent.readings[0][0], answer),))
    return None


def _shown(arguments: object, output: object) -> Shown | None:
    try:
        asked, answered = json.loads(str(arguments)), json.loads(str(output))
        return Shown(asked, answered["tasks"][-1]["id"]) if answered["has_more"] else None
    except (ValueError, TypeError, LookupError):
        # The items of a conversation are the client's too: these were not ours.
        return None
