"""Two processes write to one database with eight writers each: no gap, no duplicate, no deadlock, the list in order."""

import asyncio
import itertools
import json
import sys
from collections import defaultdict
from pathlib import Path
from uuid import UUID

import pytest

from tests.support.store_steps import walk_conversations, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).resolve().parents[2]
WRITERS = [range(8), range(8, 16)]
TURNS = 15
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


class WritingProcess:
    """Speak with a process that writes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout

    @classmethod
    async def start(cls, url: str) -> "WritingProcess":
        command = [sys.executable, "-m", "tests.support.writing_process", url]
        pipe = asyncio.subprocess.PIPE
        started = cls(await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe, limit=2**24))
        assert await started._stdout.readline() == b"ready\n"
        return started

    async def write(self, **order):
        """Give the order and return what was stored where, for each writer."""
        self._stdin.write(json.dumps(order).encode() + b"\n")
        answer = await self._stdout.readline()
        assert await self._process.wait() == 0
        return json.loads(answer)


async def write_from_two_processes(url, user, conversations):
    """Return what each of the sixteen writers stored, after both processes began together."""
    processes = await asyncio.gather(*(WritingProcess.start(url) for _ in WRITERS))
    order = {"user": user.user_id, "conversations": [str(one) for one in conversations], "turns": TURNS}
    answers = await asyncio.gather(
        *(process.write(**order, writers=list(writers)) for process, writers in zip(processes, WRITERS, strict=True))
    )
    return [stored for answer in answers for stored in answer]


@pytest.mark.parametrize("count", [1, 10])
async def test_two_processes_leave_no_gap_and_no_duplicate(database_url, user, observer, count):
    made = [(await user.conversations.create()).id for _ in range(count)]
    written = await write_from_two_processes(database_url, user, made)
    positions: dict[UUID, list[int]] = defaultdict(list)
    for stored in written:
        for conversation_id, places in stored:
            assert places == list(range(places[0], places[0] + len(places)))
            positions[UUID(conversation_id)] += places
    for conversation_id in made:
        found = await walk_items(user, conversation_id)
        assert [item.position for item in found] == list(range(1, len(found) + 1))
        assert sorted(positions[conversation_id]) == [item.position for item in found]
        assert (await user.conversations.get(conversation_id)).message_count == len(found)
        in_order_of_each_writer(found)
    if database_url.startswith("postgresql"):
        assert observer.execute(DEADLOCKS) == [(0,)]


def in_order_of_each_writer(found):
    """Assert that each writer's items stand in the order in which it wrote them, its batches together."""
    written = defaultdict(list)
    for item in found:
        written[item.item["writer"]].append((item.item["turn"], item.item["place"], item.position))
    for said in written.values():
        assert said == sorted(said)
        for (_, _, before), (_, place, here) in itertools.pairwise(said):
            assert place == 0 or here == before + 1


async def test_the_list_is_in_the_order_of_the_newest_items_of_two_processes(database_url, user):
    made = [(await user.conversations.create()).id for _ in range(20)]
    await write_from_two_processes(database_url, user, made)
    found = await walk_conversations(user, limit=7)
    assert {conversation.id for conversation in found} == set(made)
    order = [(conversation.last_message_at, conversation.id) for conversation in found]
    assert order == sorted(order, reverse=True)
    for conversation in found:
        [newest] = await user.items.last(conversation.id, 1)
        assert newest.created_at == conversation.last_message_at
