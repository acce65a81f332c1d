"""Be an agent without a model: understand, call tools, answer word by word."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from uuid import uuid4

from hansard.agents.events import Answer
from hansard.agents.offline.dialogue import last_listing, messages, understand
from hansard.agents.offline.intents import Help, Unreadable
from hansard.agents.offline.plans import Call, Plan, plan_for
from hansard.agents.protocol import AgentRequest, Event, Outcome
from hansard.models.limits import JsonObject

MODEL = "offline"
PACE = 0.02

_WORD = re.compile(r"\s*\S+\s*")
_NO_TOKENS: JsonObject = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


class OfflineAssistant:
    """Manage the user's tasks by plain sentences.

    It uses the tools ``add_task``, ``list_tasks``, ``complete_task``, ``update_task`` and ``delete_task``.
    ``pace`` is the pause between two words, in seconds.
    """

    def __init__(self, *, pace: float = PACE) -> None:
        self._pace = pace

    async def answer(self, request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        """Yield the calls that the last message needs, then what there is to say."""
        answer = Answer()
        tools = {tool.name: tool for tool in request.tools}
        plan = _plan(request.history)
        step = _advance(plan)
        while isinstance(step, Call):
            call_id = f"call_{uuid4().hex}"
            for event in answer.call(call_id=call_id, name=step.tool, arguments=_json(step.arguments)):
                yield event
            result = await tools[step.tool].call(step.arguments)
            for event in answer.call_output(call_id=call_id, output=_json(result)):
                yield event
            step = _advance(plan, result)
        async for event in answer.message(self._words(step)):
            yield event
        yield Outcome("completed", usage=_NO_TOKENS)

    async def _words(self, text: str) -> AsyncIterator[str]:
        for word in _WORD.findall(text):
            yield word
            await asyncio.sleep(self._pace)


def _plan(history: Sequence[JsonObject]) -> Plan:
    said = messages(history)
    if not said or said[-1].role != "user":
        return plan_for(Help(asked=True))
    if not said[-1].text.strip():
        return plan_for(Unreadable())
    return plan_for(understand(said), shown=last_listing(history))


def _advance(plan: Plan, result: JsonObject | None = None) -> Call | str:
    """Return the plan's next call, or what it says in the end."""
    try:
        return plan.send(result) if result is not None else next(plan)
    except StopIteration as end:
        said: str = end.value
        return said


def _json(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
