"""Run a benchmark: `make bench` is the comparison, `make bench ARGS='round_trips'` another, with its own arguments."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence

from benchmarks import compare, disk, growth, http, one_trip, round_trips, search, soak, startup

BENCHMARKS: dict[str, Callable[[Sequence[str]], Coroutine[None, None, None]]] = {
    "compare": compare.main,
    "disk": disk.main,
    "growth": growth.main,
    "http": http.main,
    "round_trips": lambda _: round_trips.main(),
    "one_trip": lambda _: one_trip.main(),
    "search": lambda _: search.main(),
    "soak": soak.main,
    "startup": startup.main,
}


def main(arguments: Sequence[str]) -> None:
    """Run the named benchmark with the rest of the arguments."""
    name, *rest = arguments if arguments and not arguments[0].startswith("-") else ("compare", *arguments)
    if name not in BENCHMARKS:
        sys.exit(f"There is no benchmark {name}; there are {', '.join(BENCHMARKS)}.")
    asyncio.run(BENCHMARKS[name](rest))


if __name__ == "__main__":
    main(sys.argv[1:])
