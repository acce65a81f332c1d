"""Measure how many round trips an operation of the store takes: what 20 ms of distance add to its time, divided by it.

Both times are medians of the same way through a proxy. The flushes that pass there are counted, too.
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
# The same way through the proxy, without the distance.
NEARBY = 1e-6
REPETITIONS = 15
MOST = 1.2
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
        heads = ["operation", "flushes", "near ms", "far ms", "round trips"]
        print(table(heads, rows))
        print(f"\nA round trip takes {ROUND_TRIP * 1000:.0f} ms; {REPETITIONS} repetitions.")
        print(conditions(str(server.binaries.major)))
        assert all(row[4] <= MOST for row in rows), f"an operation takes more than {MOST} round trips"


async def _measure(url: str, proxy: Proxy) -> list[tuple[str, int, float, float, float]]:
    database = await open_database(url)
    user = SqlStore(database).for_user("traveller")
    for _ in range(50):
        await user.conversations.create(items=[SAYS])
    rows = []
    for name, operation in OPERATIONS.items():
        ref = mint()
        here = (await user.conversations.create(items=[MessageCreate(SAYS, public_id=ref), *[SAYS] * 200])).id
        walls: dict[float, list[float]] = {NEARBY: [], ROUND_TRIP: []}
        proxy.forget()
        for _ in range(REPETITIONS):
            for proxy.round_trip, found in walls.items():
                start = time.perf_counter()
                await operation(user, here, ref)
                found.append(time.perf_counter() - start)
        near, far = map(statistics.median, walls.values())
        flushes = proxy.flushes // (2 * REPETITIONS)
        rows.append((name, flushes, near * 1e3, far * 1e3, (far - near) / ROUND_TRIP))
    await database.close()
    return rows
