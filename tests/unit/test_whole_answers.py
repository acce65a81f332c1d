"""An answer leaves as a whole where it can, and never later or in another order than it was written."""

import asyncio
from contextlib import asynccontextmanager

from hansard.api.whole_answers import WholeAnswers

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Line(asyncio.Transport):
    """A line that remembers what was sent with each call."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data) -> None:
        # uvloop's would raise.
        assert not self.is_closing()
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.sent.append(b"the end")

    def is_closing(self) -> bool:
        return b"the end" in self.sent


async def test_a_head_leaves_together_with_its_body_and_the_rest_by_itself():
    line = Line()
    answers = WholeAnswers(line, asyncio.get_running_loop())
    for data in (HEAD, b"body", HEAD, b"half", b"rest"):
        answers.write(data)
    await asyncio.sleep(0)
    assert line.sent == [HEAD + b"body", HEAD + b"half", b"rest"]


async def test_a_large_body_is_not_copied_for_its_head():
    line = Line()
    answers = WholeAnswers(line, asyncio.get_running_loop())
    body = bytes(64 * 1024)
    for data in (HEAD, body, HEAD, body + b"!"):
        answers.write(data)
    assert line.sent == [HEAD + body, HEAD, body + b"!"]


async def test_a_head_that_nothing_follows_leaves_at_the_end_of_the_turn():
    line = Line()
    answers = WholeAnswers(line, asyncio.get_running_loop())
    answers.write(HEAD)
    assert line.sent == []
    await asyncio.sleep(0)
    assert line.sent == [HEAD]
    answers.write(b"event")
    assert line.sent == [HEAD, b"event"]


async def test_two_heads_in_a_row_and_one_before_the_end_are_both_sent():
    line = Line()
    answers = WholeAnswers(line, asyncio.get_running_loop())
    answers.write(HEAD)
    answers.write(HEAD)
    assert line.sent == [HEAD + HEAD]
    answers.write(HEAD)
    assert not answers.is_closing()
    answers.close()
    assert answers.is_closing()
    await asyncio.sleep(0)
    assert line.sent == [HEAD + HEAD, HEAD, b"the end"]


async def test_nothing_is_sent_to_a_client_that_has_left():
    for before in ([], [HEAD], [HEAD, b"half"]):
        line = Line()
        answers = WholeAnswers(line, asyncio.get_running_loop())
        for data in before:
            answers.write(data)
        sent = list(line.sent)
        line.close()
        answers.write(b"body")
        answers.write(HEAD)
        await asyncio.sleep(0)
        assert line.sent == [*sent, b"the end"]


async def test_a_head_is_not_sent_to_a_client_that_leaves_behind_it():
    line = Line()
    answers = WholeAnswers(line, asyncio.get_running_loop())
    answers.write(HEAD)
    line.close()
    await asyncio.sleep(0)
    assert line.sent == [b"the end"]


@asynccontextmanager
async def answering(answer):
    """Connect to a server of asyncio's own loop that answers at once, and hear of it when it shall pause."""
    loop, paused = asyncio.get_running_loop(), asyncio.Event()

    class Answering(asyncio.Protocol):
        def connection_made(self, transport) -> None:
            answer(WholeAnswers(transport, loop))

        def pause_writing(self) -> None:
            paused.set()

    server = await loop.create_server(Answering, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, paused
    finally:
        writer.transport.abort()
        server.close()


async def test_an_answer_without_a_body_ends():
    def answer(answers: WholeAnswers) -> None:
        answers.write(HEAD)
        answers.write(b"")
        answers.close()

    async with answering(answer) as (reader, _):
        assert await asyncio.wait_for(reader.read(), 30) == HEAD


async def test_a_server_hears_that_nobody_reads_its_answer():
    def answer(answers: WholeAnswers) -> None:
        answers.write(HEAD)
        answers.write(b"x" * 20_000_000)

    async with answering(answer) as (_, paused):
        await asyncio.wait_for(paused.wait(), 30)
