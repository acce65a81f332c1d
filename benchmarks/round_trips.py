"""Measure how many round trips an operation of the store takes: its wall time at a distance of 20 ms, divided by it.

The best of several tells of the network, the median also of what else the machine was doing.
"""

import statistics
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from benchmarks.tables import conditions, table
from hansard.database import migrations, open_database
from hansard.models.message import MessageCreate
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from hansard.utils.ids import mint
from tests.support.pg_server import running_postgres
from tests.support.proxy import Proxy, proxied

ROUND_TRIP = 0.020
REPETITIONS = 15
MOST = 1.3
SAYS = {"role": "user", "content": "x" * 400}
Operation = Callable[[UserStore, UUID, bytes], Awaitable[object]]

OPERATIONS: dict[str, Operation] = {
    "append 1": lambda user, here, _: user.items.append(here, [SAYS]),
    "append 20": lambda user, here, _: user.items.append(here, [SAYS] * 20),
    "last 50": lambda user, here, _: user.items.last(here, 50),
    "page of 100 items": lambda user, here, _: user.items.list(here, limit=100),
    "page of 100 items after a public id": lambda user, here, ref: user.items.list(here, limit=100, after=ref),
    "page of 50 conversations": lambda user, _, __: user.conversations.list(limit=50),
    "get a conversation": lambda user, here, _: user.conversations.get(here),
    "create a conversation": lambda user, _, __: user.conversations.create(),
    "update a conversation": lambda user, here, _: user.conversations.update(here, title="Milk"),
    "suggest a title": lambda user, here, _: user.conversations.suggest_title(here, "Milk"),
    "delete a conversation": lambda user, here, _: user.conversations.delete(here),
}


async def main() -> None:
    """Print the table; fail when an operation takes more than it may."""
    with running_postgres(durable=True) as server:
        url = server.clone()
        migrations.upgrade(url)
        async with proxied(url, round_trip=ROUND_TRIP) as (proxy, distant):
            rows = await _measure(distant, proxy)
        heads = ["operation", "flushes", "best ms", "median ms", "best / round trip", "median / round trip"]
        print(table(heads, rows))
        print(f"\nA round trip takes {ROUND_TRIP * 1000:.0f} ms; {REPETITIONS} repetitions.")
        print(conditions(str(server.binaries.major)))
        assert all(row[4] <= MOST for row in rows), f"an operation takes more than {MOST} round trips"


async def _measure(url: str, proxy: Proxy) -> list[tuple[str, int, float, float, float, float]]:
    database = await open_database(url)
    user = SqlStore(database).for_user("traveller")
    for _ in range(50):
        await user.conversations.create(items=[SAYS])
    rows = []
    for name, operation in OPERATIONS.items():
        ref = mint()
        here = (await user.conversations.create(items=[MessageCreate(SAYS, public_id=ref), *[SAYS] * 200])).id
        walls = []
        proxy.forget()
        for _ in range(REPETITIONS):
            start = time.perf_counter()
            await operation(user, here, ref)
            walls.append(time.perf_counter() - start)
        best, median = min(walls), statistics.median(walls)
        flushes = proxy.flushes // REPETITIONS
        rows.append((name, flushes, best * 1000, median * 1000, best / ROUND_TRIP, median / ROUND_TRIP))
    await database.close()
    return rows
