"""Run the named benchmarks, or all: `make bench ARGS='round_trips one_trip'`."""

import asyncio
import sys

from benchmarks import one_trip, round_trips, search

BENCHMARKS = {"round_trips": round_trips.main, "one_trip": one_trip.main, "search": search.main}


def main(names: list[str]) -> None:
    """Print the tables of the named benchmarks."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}.")
    for name in names or BENCHMARKS:
        print(f"\n## {name}\n")
        asyncio.run(BENCHMARKS[name]())


if __name__ == "__main__":
    main(sys.argv[1:])
