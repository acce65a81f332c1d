"""A model's server that does what a test wrote down, over real HTTP, byte by byte."""

import asyncio
import contextlib
import json
import socket
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 15,
}
CHAT_USAGE = {
    "prompt_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens": 5,
    "completion_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 15,
}


@dataclass
class Asked:
    """A request as it came, and whether whoever sent it has gone since."""

    path: str
    headers: dict[str, str]
    body: Any
    gone: asyncio.Event


class Exchange:
    """One request, and the means to answer it well or badly."""

    def __init__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.asked = asked
        self._writer = writer

    async def head(self, status: int = 200, content_type: str = "text/event-stream", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-type: {content_type}", "transfer-encoding: chunked"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        await self._writer.drain()

    async def write(self, piece: bytes) -> None:
        """Send one chunk; the other side reads it by itself, wherever it is cut."""
        self._writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await self._writer.drain()

    async def events(self, events: Iterable[dict[str, Any]]) -> None:
        await self.write(b"".join(map(spell, events)))

    async def end(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def raw(self, data: bytes) -> None:
        """Send anything at all."""
        self._writer.write(data)
        await self._writer.drain()

    def abort(self) -> None:
        """Break the connection off, as a process does that is killed."""
        self._writer.transport.abort()


Answer: TypeAlias = Callable[[Exchange], Awaitable[None]]


def spell(event: dict[str, Any]) -> bytes:
    """An event as most servers send it: named, and with its text unescaped."""
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def stream(events: Sequence[dict[str, Any]], *, done: bool = True, size: int | None = None) -> Answer:
    """Answer well, in chunks of ``size`` bytes."""

    async def answer(exchange: Exchange) -> None:
        data = b"".join(map(spell, events)) + (b"data: [DONE]\n\n" if done else b"")
        await exchange.head()
        step = size or len(data)
        for start in range(0, len(data), step):
            await exchange.write(data[start : start + step])
        await exchange.end()

    return answer


def refusal(status: int, error: object = None, **headers: str) -> Answer:
    """Answer with an error."""

    async def answer(exchange: Exchange) -> None:
        await exchange.head(status, "application/json", **headers)
        await exchange.write(json.dumps({"error": error}).encode())
        await exchange.end()

    return answer


class ScriptedUpstream:
    """Answer each request for a path by the next answer written down for it, else by the path's own, else by 404."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.asked: list[Asked] = []
        self.connections = 0
        self._answers: dict[str, deque[Answer]] = defaultdict(deque)
        self._always: dict[str, Answer] = {}

    def on(self, path: str, *answers: Answer) -> None:
        self._answers[f"/v1/{path}"].extend(answers)

    def always(self, path: str, answer: Answer) -> None:
        self._always[f"/v1/{path}"] = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                asked = await _read(reader, gone)
                self.asked.append(asked)
                answers = self._answers[asked.path]
                own = self._always.get(asked.path, refusal(404, {"message": "no such path"}))
                answer = answers.popleft() if answers else own
                await answer(Exchange(asked, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


class _Connection(asyncio.StreamReaderProtocol):
    """A connection that tells at once when the other side has gone, also while nobody reads from it."""

    def __init__(self, upstream: ScriptedUpstream, tasks: set[asyncio.Task[None]]) -> None:
        gone = asyncio.Event()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(upstream.serve(reader, writer, gone))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        super().__init__(asyncio.StreamReader(), accept)
        self._gone = gone

    def eof_received(self) -> bool | None:
        self._gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        super().connection_lost(exc)


async def _read(reader: asyncio.StreamReader, gone: asyncio.Event) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    request, *lines = head.split("\r\n")[:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(request.split(" ")[1], headers, json.loads(body) if body else None, gone)


@contextlib.asynccontextmanager
async def scripted_upstream() -> AsyncIterator[ScriptedUpstream]:
    """Serve on a free port until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    upstream = ScriptedUpstream(listener.getsockname()[1])
    tasks: set[asyncio.Task[None]] = set()

    server = await asyncio.get_running_loop().create_server(lambda: _Connection(upstream, tasks), sock=listener)
    try:
        yield upstream
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def responses_message(text: str, *, index: int = 0, pieces: int = 3) -> list[dict[str, Any]]:
    """The events of a message, as the Responses API spells them."""
    at: dict[str, Any] = {"item_id": f"msg_upstream{index}", "output_index": index}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    item = {
        "id": f"msg_upstream{index}",
        "type": "message",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    step = max(1, -(-len(text) // pieces))
    deltas = [text[start : start + step] for start in range(0, len(text), step)]
    whole = {**part, "text": text}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": item},
        {"type": "response.content_part.added", **at, "content_index": 0, "part": part},
        *[
            {"type": "response.output_text.delta", **at, "content_index": 0, "delta": delta, "logprobs": []}
            for delta in deltas
        ],
        {"type": "response.output_text.done", **at, "content_index": 0, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "content_index": 0, "part": whole},
        {
            "type": "response.output_item.done",
            "output_index": index,
            "item": {**item, "status": "completed", "content": [whole]},
        },
    ]


def responses_call(name: str, arguments: str, *, call_id: str = "call_1", index: int = 0) -> list[dict[str, Any]]:
    """The events of a call, as the Responses API spells them."""
    at = {"item_id": f"fc_upstream{index}", "output_index": index}
    item = {"id": f"fc_upstream{index}", "type": "function_call", "call_id": call_id, "name": name}
    return [
        {
            "type": "response.output_item.added",
            "output_index": index,
            "item": {**item, "arguments": "", "status": "in_progress"},
        },
        {"type": "response.function_call_arguments.delta", **at, "delta": arguments},
        {"type": "response.function_call_arguments.done", **at, "arguments": arguments},
        {
            "type": "response.output_item.done",
            "output_index": index,
            "item": {**item, "arguments": arguments, "status": "completed"},
        },
    ]


def responses_stream(*items: list[dict[str, Any]], end: str = "completed", **response: Any) -> list[dict[str, Any]]:
    """A whole response of the upstream, numbered as it numbers it."""
    events = [
        {"type": "response.created", "response": {"id": "resp_upstream", "status": "in_progress"}},
        {"type": "response.in_progress", "response": {"id": "resp_upstream", "status": "in_progress"}},
        *[event for item in items for event in item],
        {"type": f"response.{end}", "response": {"id": "resp_upstream", "status": end, "usage": USAGE, **response}},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def chat_delta(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """A chunk of a chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def chat_message(text: str, *, pieces: int = 3) -> list[dict[str, Any]]:
    """The chunks of a message."""
    step = max(1, -(-len(text) // pieces))
    return [
        chat_delta({"role": "assistant", "content": ""}),
        *[chat_delta({"content": text[start : start + step]}) for start in range(0, len(text), step)],
    ]


def chat_call(name: str, arguments: str, *, call_id: str = "call_1", index: int = 0) -> list[dict[str, Any]]:
    """The chunks of a call."""
    call = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    middle = len(arguments) // 2
    pieces = [arguments[:middle], arguments[middle:]]
    return [
        chat_delta({"tool_calls": [call]}),
        *[chat_delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in pieces],
    ]


def chat_stream(*items: list[dict[str, Any]], reason: str = "stop") -> list[dict[str, Any]]:
    """A whole completion, with the tokens counted after its end."""
    chunks = [chunk for item in items for chunk in item]
    return [*chunks, chat_delta({}, reason), {"id": "chatcmpl-1", "choices": [], "usage": CHAT_USAGE}]
