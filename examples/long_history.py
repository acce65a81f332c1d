"""Measure what the commissioning asked for: long histories and many conversations at once.

python examples/long_history.py sqlite:///long.db
"""

import asyncio
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import hansard

MESSAGES = 1000
CHARACTERS = 10_000
CONVERSATIONS = 100


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Print how long the block took."""
    began = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - began:.3f} s")


def message(number: int) -> dict[str, str]:
    """Return a message of exactly 10,000 characters."""
    return {"role": "user" if number % 2 else "assistant", "content": f"{number} ".ljust(CHARACTERS, "x")}


async def long_history(user: hansard.UserStore) -> None:
    """Write 1000 messages one by one, and read them back in the ways that people do."""
    chat = await user.conversations.create()
    with measured(f"append {MESSAGES} messages of {CHARACTERS} characters, one transaction each"):
        for number in range(MESSAGES):
            await user.items.append(chat.id, [message(number)])
    with measured(f"read all {MESSAGES}"):
        read = await user.items.last(chat.id, MESSAGES)
    assert [one.item for one in read] == [message(number) for number in range(MESSAGES)]
    with measured("read the newest 50"):
        await user.items.last(chat.id, 50)


async def many_conversations(user: hansard.UserStore) -> None:
    """Write to 100 conversations at once, and list them."""
    chats = [await user.conversations.create() for _ in range(CONVERSATIONS)]
    with measured(f"append to {CONVERSATIONS} conversations at once, 10 messages each"):
        await asyncio.gather(*(user.items.append(chat.id, [message(number)]) for number in range(10) for chat in chats))
    with measured("list the 50 most recently active"):
        page = await user.conversations.list(limit=50)
    assert [one.message_count for one in page.data] == [10] * 50


async def main(url: str) -> None:
    """Measure as a user nobody has seen before, so that it can be run again."""
    async with hansard.open_store(url) as store:
        await long_history(store.for_user(str(uuid.uuid4())))
        await many_conversations(store.for_user(str(uuid.uuid4())))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
