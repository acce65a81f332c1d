"""Be an agent whose words are an upstream model's."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from hansard.agents.protocol import AgentRequest, Event, Outcome
from hansard.agents.upstream.chat import Chat
from hansard.agents.upstream.dialect import Ask, Dialect, Reader
from hansard.agents.upstream.endpoint import BROKEN_OFF, Answering, Deadline, Upstream
from hansard.agents.upstream.failure import AnswerFailed, EndpointMissing
from hansard.agents.upstream.record import Record
from hansard.agents.upstream.responses import Responses
from hansard.agents.upstream.tools import check_tools, offered, own_calls, run
from hansard.agents.upstream.usage import add
from hansard.models.limits import JsonObject

MOST_ROUNDS: Final = 16

_DIALECTS: Final[Mapping[str, tuple[Dialect, ...]]] = {
    "auto": (Responses(), Chat()),
    "responses": (Responses(),),
    "chat": (Chat(),),
}

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Answer:
    """Hold what is known of one answer so far."""

    deadline: Deadline
    record: Record = field(default_factory=Record)
    outcome: Outcome = field(default_factory=lambda: Outcome.failed("The model's server was not asked."))
    usage: JsonObject | None = None

    def end_round(self, outcome: Outcome) -> None:
        self.outcome = outcome
        if outcome.usage is not None:
            self.usage = add(self.usage or {}, outcome.usage)


class UpstreamAgent:
    """Hand requests to a model's server, and run the service's own tools for it.

    ``api`` says what the server speaks; ``auto`` tries the Responses API and takes Chat Completions where that is
    missing. ``hosted_tools`` are the types of tools that clients may have the server run.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        api: Literal["auto", "responses", "chat"] = "auto",
        hosted_tools: Collection[str] = (),
        most_rounds: int = MOST_ROUNDS,
    ) -> None:
        self._upstream = upstream
        self._dialects = _DIALECTS[api]
        self._hosted_tools = frozenset(hosted_tools)
        self._most_rounds = most_rounds
        # Behind one address may be several servers, so what was found out holds for a model.
        self._found: dict[str, Dialect] = {}

    async def answer(self, request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        """Yield the model's events, round by round, until it calls no tool of ours any more."""
        answer = _Answer(Deadline(self._upstream.limits.total))
        try:
            check_tools(request.parameters, request.history, hosted=self._hosted_tools)
            async with aclosing(self._rounds(request, answer)) as events:
                async for event in events:
                    yield event
        except AnswerFailed as failure:
            # What the server said is left out: it may quote the conversation.
            cause = failure.__cause__
            extra = {"model": request.model, "reason": failure.reason, "cause": cause and str(cause)}
            _log.warning("upstream failed", extra=extra)
            answer.outcome = Outcome.failed(str(failure), code=failure.code)
        yield self._concealed(replace(answer.outcome, usage=answer.usage))

    async def _rounds(self, request: AgentRequest, answer: _Answer) -> AsyncGenerator[Event, None]:
        own = offered(request.tools, request.parameters)
        for number in range(1, self._most_rounds + 1):
            begun = len(answer.record.items)
            parameters = self._parameters(request.parameters, number)
            ask = Ask(request.model, [*request.history, *answer.record.items], parameters, list(own.values()))
            async with aclosing(self._round(ask, answer)) as events:
                async for event in events:
                    yield event
            said = answer.record.items[begun:]
            calls = own_calls(said, own) if answer.outcome.status == "completed" else []
            if number < self._most_rounds:
                for call in calls:
                    for event in answer.record.say(await run(own[call["name"]], call)):
                        yield event
            if not calls or any(_is_for_the_client(item, calls) for item in said):
                return
        raise AnswerFailed(f"The model was asked {self._most_rounds} times and still called tools.")

    async def _round(self, ask: Ask, answer: _Answer) -> AsyncGenerator[Event, None]:
        answering, reader = await self._ask(ask, answer.deadline)
        answer.record.begin_round()
        try:
            async with aclosing(answering), aclosing(answering.events()) as stream:
                async for data in stream:
                    for event in reader.take(data):
                        for numbered in answer.record.take(event):
                            yield numbered
                    if reader.is_over:
                        await answering.farewell()
                        break
        except AnswerFailed:
            # What goes wrong after the end takes nothing away from the answer.
            if reader.outcome is None:
                raise
        if reader.outcome is None:
            raise AnswerFailed(BROKEN_OFF)
        answer.end_round(reader.outcome)

    async def _ask(self, ask: Ask, deadline: Deadline) -> tuple[Answering, Reader]:
        """Ask in the first dialect that the server has."""
        known = self._found.get(ask.model)
        first, *others = (known,) if known else self._dialects
        try:
            return await self._upstream.ask(first.path, first.body(ask), deadline), first.reader()
        except EndpointMissing:
            self._found.pop(ask.model, None)
            for dialect in others:
                with suppress(EndpointMissing):
                    answering = await self._upstream.ask(dialect.path, dialect.body(ask), deadline)
                    self._found[ask.model] = dialect
                    return answering, dialect.reader()
            raise

    def _parameters(self, sent: Mapping[str, Any], number: int) -> Mapping[str, Any]:
        """Return the parameters of a round.

        A model that was told to use a tool has done so after the first; before the last one it has used enough.
        """
        if number == 1:
            return sent
        return {**sent, "tool_choice": "none" if number == self._most_rounds else _unforced(sent.get("tool_choice"))}

    def _concealed(self, outcome: Outcome) -> Outcome:
        if outcome.error is None:
            return outcome
        return replace(outcome, error={**outcome.error, "message": self._upstream.conceal(outcome.error["message"])})


def _unforced(choice: object) -> object:
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        return {**choice, "mode": "auto"}
    return "none" if choice == "none" else "auto"


def _is_for_the_client(item: JsonObject, ours: Collection[JsonObject]) -> bool:
    """Say whether the client has to act before the model can go on."""
    kind = item["type"]
    return kind in {"function_call", "custom_tool_call", "mcp_approval_request"} and item not in ours
