"""Write to conversations from a process of its own, which is spoken to in lines of JSON.

It says "ready" when its store is open, waits for its orders, carries them out with all writers at once, and answers.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

from hansard import open_store
from hansard.store.contract import UserStore


async def main(url: str) -> None:
    """Carry out one order."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(url, migrate=False))
        _say("ready")
        order = json.loads(await asyncio.to_thread(sys.stdin.readline))
        user = store.for_user(order["user"])
        writers = (_write(user, order, writer) for writer in order["writers"])
        _say(json.dumps(await asyncio.gather(*writers)))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _write(user: UserStore, order: dict[str, Any], writer: int) -> list[tuple[str, list[int]]]:
    """Append batches of one to three items, going round the conversations; return where they were stored."""
    conversations = [UUID(one) for one in order["conversations"]]
    stored = []
    for turn in range(order["turns"]):
        here = conversations[(writer + turn) % len(conversations)]
        batch = [{"type": "note", "writer": writer, "turn": turn, "place": place} for place in range(1 + turn % 3)]
        items = await user.items.append(here, batch)
        stored.append((str(here), [item.position for item in items]))
    return stored


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
