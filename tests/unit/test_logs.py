"""What is logged is written soon and in order, and what many requests say together with one call."""

import asyncio
import io
import json
import logging
from datetime import datetime, timezone
from select import PIPE_BUF

import pytest

from hansard.api.logs import REQUESTS, GatheringHandler, JsonFormatter


class Written(io.StringIO):
    """Remember each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def write(self, text: str) -> int:
        self.calls.append(text)
        return len(text)


@pytest.fixture
def written():
    return Written()


@pytest.fixture
def logs(written):
    """All loggers of a process that writes there."""
    root = logging.RootLogger(logging.DEBUG)
    root.addHandler(GatheringHandler(written))
    return logging.Manager(root)


@pytest.fixture
def log(logs):
    return logs.getLogger(REQUESTS)


def test_outside_of_an_event_loop_a_line_is_written_at_once(log, written):
    log.info("one")
    log.info("two")
    assert written.calls == ["one\n", "two\n"]


def test_lines_of_one_turn_are_written_together_and_in_each_loop_anew(log, written):
    async def turn(name):
        log.info("%s 1", name)
        log.info("%s 2", name)
        assert not any(name in call for call in written.calls)
        await asyncio.sleep(0)
        assert written.calls[-1] == f"{name} 1\n{name} 2\n"
        log.info("%s, never awaited", name)

    for name in ("a", "b"):
        asyncio.run(turn(name))
    log.info("the end")
    assert "".join(written.calls).splitlines() == [
        "a 1", "a 2", "a, never awaited", "b 1", "b 2", "b, never awaited", "the end"
    ]  # fmt: skip


async def test_a_warning_is_written_at_once_and_after_what_was_said_before(log, written):
    log.info("one")
    log.warning("two")
    assert written.calls == ["one\ntwo\n"]
    await asyncio.sleep(0)
    assert written.calls == ["one\ntwo\n"]


async def test_what_is_no_line_of_a_request_is_written_at_once(log, logs, written):
    log.info("one")
    logs.getLogger("uvicorn.error").info("two")
    assert written.calls == ["one\ntwo\n"]


async def test_lines_that_a_pipe_does_not_take_at_once_are_written_in_whole_lines(log, written):
    lines = [f"{number} {'a' * 300}\n" for number in range(40)] + ["b" * (PIPE_BUF + 1) + "\n", "c\n"]
    for line in lines:
        log.info(line.removesuffix("\n"))
    await asyncio.sleep(0)
    assert "".join(written.calls) == "".join(lines)
    assert all(call.endswith("\n") and (len(call) <= PIPE_BUF or call in lines) for call in written.calls)
    assert len(written.calls) < len(lines) / 2


async def test_what_a_thread_says_is_written_at_once(log, written):
    log.info("one")
    await asyncio.to_thread(log.info, "two")
    assert "".join(written.calls) == "one\ntwo\n"


async def test_a_stream_that_is_gone_fails_nobody(log, written, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    written.close()
    monkeypatch.setattr(written, "write", io.StringIO.write.__get__(written))
    log.info("one")
    log.warning("two")
    await asyncio.sleep(0)


@pytest.mark.parametrize("seconds", [0.0, 1764053094.0, 1764053094.0625, 1764053094.9990234375, 1764053095.5])
def test_a_line_tells_its_time_to_the_millisecond(seconds):
    formatter = JsonFormatter()
    record = logging.makeLogRecord({"created": seconds, "msg": "anything"})
    told = [json.loads(formatter.format(record))["time"] for _ in range(2)]
    assert told == [datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")] * 2


async def test_a_line_that_cannot_be_told_does_not_keep_the_others_of_its_turn(log, written, capsys):
    log.info("one")
    log.info("%d", "no number")
    log.info("two")
    await asyncio.sleep(0)
    assert "".join(written.calls) == "one\ntwo\n"
    assert "no number" in capsys.readouterr().err
