"""Ask an agent whose server follows a script, and listen as the runner of turns does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from hansard.agents.protocol import AgentRequest, Event, Outcome, Tool
from hansard.agents.upstream.agent import UpstreamAgent
from hansard.agents.upstream.endpoint import Limits, Upstream
from hansard.models.verbatim import message_item
from hansard.services.transcript import Transcript
from tests.support.scripted_upstream import (
    ScriptedUpstream,
    chat_call,
    chat_message,
    chat_stream,
    responses_call,
    responses_message,
    responses_stream,
)

KEY = "sk-test-0123456789"
# Long enough for any machine: what is waited for in vain, `let_pass` ends.
PATIENT = Limits(connect=30, first_byte=30, silence=30, total=120)


def let_pass(seconds: float) -> None:
    """Let the event loop's clock go on at once."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + seconds  # type: ignore[method-assign] # of this loop alone


async def be_heard() -> None:
    """Let the other side read what was sent, and wait for more: by turns of the loop, however long they take."""
    for _ in range(20):
        await asyncio.sleep(0.001)


@dataclass
class Heard:
    """What came of a question."""

    events: list[Event] = field(default_factory=list)
    outcome: Outcome | None = None
    output: list[dict[str, Any]] = field(default_factory=list)

    @property
    def why(self) -> str:
        assert self.outcome
        assert self.outcome.error
        return str(self.outcome.error["message"])

    @property
    def texts(self) -> list[str]:
        return [part["text"] for item in self.output if item["type"] == "message" for part in item["content"]]

    def deltas(self, kind: str = "response.output_text.delta") -> str:
        return "".join(event["delta"] for event in self.events if event["type"] == kind)


@dataclass
class Api:
    """One of the two APIs, and how a test's upstream speaks it."""

    name: str
    path: str
    message: Callable[[str], list[dict[str, Any]]]
    call: Callable[..., list[dict[str, Any]]]
    whole: Callable[..., list[dict[str, Any]]]

    def __str__(self) -> str:
        return self.name


RESPONSES = Api("responses", "responses", responses_message, responses_call, responses_stream)
CHAT = Api("chat", "chat/completions", chat_message, chat_call, chat_stream)
APIS = [RESPONSES, CHAT]


@asynccontextmanager
async def agent_of(server: ScriptedUpstream, api: Any = "auto", **options: Any) -> AsyncIterator[UpstreamAgent]:
    limits = options.pop("limits", PATIENT)
    async with aclosing(Upstream(server.url, api_key=KEY, name="0" * 32, limits=limits)) as upstream:
        yield UpstreamAgent(upstream, api=api, **options)


def asking(text: str = "Hi", *, tools: tuple[Tool, ...] = (), **parameters: Any) -> AgentRequest:
    return AgentRequest("m", [message_item("user", "completed", text)], parameters, tools)


async def hear(agent: UpstreamAgent, request: AgentRequest) -> Heard:
    """Listen as the runner of turns does, who accepts nothing that breaks the protocol of agents."""
    heard, transcript = Heard(), Transcript()
    async with aclosing(agent.answer(request)) as stream_:
        async for said in stream_:
            assert heard.outcome is None
            if isinstance(said, Outcome):
                heard.outcome = said
            else:
                heard.events.append(transcript.take(said))
    list(transcript.settle({tool.name for tool in request.tools}))
    heard.output = transcript.view
    return heard


async def hear_items(agent: UpstreamAgent, request: AgentRequest) -> tuple[list[dict[str, Any]], Outcome]:
    """The items as they are stored: with their maker's ids."""
    said = [said async for said in agent.answer(request)]
    outcome = said.pop()
    assert isinstance(outcome, Outcome)
    done = [event for event in said if isinstance(event, dict) and event["type"] == "response.output_item.done"]
    return [event["item"] for event in done], outcome
