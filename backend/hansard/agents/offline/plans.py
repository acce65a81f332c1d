"""Turn what a person wants into calls of tools and a reply.

A plan is a generator: it yields the calls it needs, is sent their results, and returns what to say. It waits for
nothing itself, so the assistant alone decides how calls are made, recorded and interrupted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from hansard.agents.offline import wording
from hansard.agents.offline.intents import (
    Add,
    Complete,
    Courtesy,
    Delete,
    Help,
    Intent,
    More,
    Rename,
    Reopen,
    Selection,
    Show,
    Unreadable,
)
from hansard.models.limits import JsonObject

PAGE = 50
_CANDIDATES = 10
_AT_ONCE = 20

_NUMBER = re.compile(r"#?[0-9]{1,9}")
_NOUN = re.compile(
    r"(?:(?:the|my|this|that) )?(?:task|to-?do|item|reminder)s?\b ?(?:(?:called|named|titled)\b)?:? ?(?=.)",
    re.IGNORECASE,
)
_NUMBER_FILLERS = frozenset(
    {"", "and", "the", "my", "task", "tasks", "item", "items", "number", "numbers", "no.", "nr."}
)
_EVERYTHING = re.compile(
    r"(?:all|everything|every|both)(?: (?:of|my|the|them|those|open|done|completed|finished|tasks?|to-?dos?))*",
    re.IGNORECASE,
)


class Call(NamedTuple):
    """Ask for a tool to be called."""

    tool: str
    arguments: JsonObject


class Shown(NamedTuple):
    """Hold the listing that the conversation had last: what was asked, the id it ended with."""

    arguments: JsonObject
    last_id: Any


class Found(NamedTuple):
    """Hold the tasks that fit some words best; ``more`` when there are others that fit as well."""

    tasks: list[JsonObject]
    more: bool


Plan: TypeAlias = Generator[Call, JsonObject, str]
Search: TypeAlias = Generator[Call, JsonObject, Found]


@dataclass(frozen=True, slots=True)
class _Deed:
    """Describe what can be done to a task that is there."""

    verb: str
    call: Callable[[Any], Call]
    said: str
    # Which tasks it is usually meant for, and what to say of one that fits but needs it no more.
    among: Selection
    needless: str = ""


_COMPLETE = _Deed(
    "complete", lambda key: Call("complete_task", {"task_id": key}), "Done: {}.", "open", "{} is done already."
)
_REOPEN = _Deed(
    "reopen",
    lambda key: Call("update_task", {"task_id": key, "completed": False}),
    "{} is open again.",
    "done",
    "{} is still open.",
)
_DELETE = _Deed("delete", lambda key: Call("delete_task", {"task_id": key}), "Deleted {}.", "all")


def plan_for(intent: Intent, *, shown: Shown | None = None) -> Plan:
    """Return the plan for an intent; ``shown`` is the last listing, where "more" goes on, if it had more."""
    plans: dict[type, Callable[[Any], Plan]] = {
        Add: lambda add: _add(add.title),
        Show: lambda show: _show(show.selection),
        More: lambda _: _more(shown),
        Complete: lambda complete: _do(_COMPLETE, complete.target),
        Reopen: lambda reopen: _do(_REOPEN, reopen.target),
        Delete: lambda delete: _do(_DELETE, delete.target),
        Rename: lambda rename: _rename(rename.readings),
        Courtesy: lambda _: _say(wording.WELCOME),
        Help: lambda wish: _say(wording.HELP if wish.asked else wording.NOT_UNDERSTOOD),
        Unreadable: lambda _: _say(wording.NO_TEXT),
    }
    return plans[type(intent)](intent)


def _say(text: str) -> Plan:
    yield from ()
    return text


def _add(title: str) -> Plan:
    if not title:
        return wording.ASK_TITLE
    result = yield Call("add_task", {"title": title})
    return wording.refused(result) if "error" in result else f"Added {wording.name(result['task'])}."


def _show(selection: Selection) -> Plan:
    result = yield Call("list_tasks", {"status": selection, "limit": PAGE})
    return wording.listing(result["tasks"], selection=selection, more=result["has_more"])


def _more(shown: Shown | None) -> Plan:
    if shown is None:
        return wording.NO_MORE
    result = yield Call("list_tasks", {**shown.arguments, "after": shown.last_id})
    if not result.get("tasks"):
        return wording.NO_MORE
    tail = "\n\nThere are more: say “more” to see them." if result["has_more"] else ""
    return f"Then there {'is' if len(result['tasks']) == 1 else 'are'}:\n\n{wording.bullets(result['tasks'])}{tail}"


def _do(deed: _Deed, target: str) -> Plan:
    if not target:
        return f"{wording.ASK_WHICH}{deed.verb}?"
    if _EVERYTHING.fullmatch(target):
        return wording.ONE_BY_ONE.format(verb=deed.verb)
    numbers = _numbers(target)
    if len(numbers) > 1:
        return (yield from _do_each(deed, numbers))
    if numbers:
        result = yield deed.call(numbers[0])
        if not _missing(result):
            return _told(deed, result)
    return (yield from _do_by_words(deed, target))


def _do_each(deed: _Deed, numbers: list[int]) -> Plan:
    if len(numbers) > _AT_ONCE:
        return f"That is more than I do at once; please name {_AT_ONCE} tasks at most."
    lines = []
    for number in numbers:
        result = yield deed.call(number)
        lines.append(f"There is no task {number}." if _missing(result) else _told(deed, result))
    return "\n".join(lines)


def _do_by_words(deed: _Deed, target: str) -> Plan:
    found = yield from _find(target, status=deed.among)
    if not found.tasks and deed.needless:
        found = yield from _find(target, status="all")
        if found.tasks:
            return "\n".join(deed.needless.format(wording.name(task)) for task in found.tasks)
    if not found.tasks:
        return wording.not_found(target)
    if len(found.tasks) > 1:
        return wording.which(deed.verb, found.tasks, more=found.more)
    result = yield deed.call(found.tasks[0]["id"])
    return _told(deed, result)


def _rename(readings: tuple[tuple[str, str], ...]) -> Plan:
    target, title = readings[0]
    if not target:
        return "Say which task and what it should be called, such as “rename 3 to buy oat milk”."
    if not title:
        return wording.ASK_NEW_TITLE
    for target, title in readings:
        numbers = _numbers(target)
        if len(numbers) == 1:
            result = yield Call("update_task", {"task_id": numbers[0], "title": title})
            if not _missing(result):
                return _renamed(result)
        found = yield from _find(target, status="all")
        if len(found.tasks) == 1:
            result = yield Call("update_task", {"task_id": found.tasks[0]["id"], "title": title})
            return _renamed(result)
        if found.tasks:
            hint = f"Say it with the number, such as “rename {found.tasks[0]['id']} to …”."
            return f"More than one task fits:\n\n{wording.bullets(found.tasks)}\n\n{hint}"
    return wording.not_found(readings[-1][0])


def _find(target: str, *, status: Selection) -> Search:
    words = _NOUN.sub("", target, count=1) if _NOUN.match(target) else target
    result = yield Call("list_tasks", {"status": status, "title": words, "limit": _CANDIDATES})
    return Found(result["tasks"], result["has_more"])


def _numbers(target: str) -> list[int]:
    """Return the ids in a target that is nothing but ids ("#3", "tasks 3, 4 and 5"), each once."""
    words = [word for word in re.split(r"[\s,;&]+", target.lower()) if word not in _NUMBER_FILLERS]
    if not all(_NUMBER.fullmatch(word) for word in words):
        return []
    return list(dict.fromkeys(int(word.lstrip("#")) for word in words))


def _missing(result: JsonObject) -> bool:
    return result.get("code") == "not_found"


def _told(deed: _Deed, result: JsonObject) -> str:
    return wording.refused(result) if "error" in result else deed.said.format(wording.name(result["task"]))


def _renamed(result: JsonObject) -> str:
    return wording.refused(result) if "error" in result else f"It is called {wording.name(result['task'])} now."
