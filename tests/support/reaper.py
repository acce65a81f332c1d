"""Kill what a test run started and left behind, as soon as the run is gone, in whatever way.

Run as a program of its own, it waits for a line on its standard input or for the end of it, like `pg_guard`, and then
kills every process whose environment holds a mark. A time-out ends a run by `os._exit`, and then no fixture stops its
server. It reads `/proc`; where there is none, it does nothing.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path


def main(mark: str) -> None:
    """Wait, then kill all that were started with this mark, until nobody is left who could start another."""
    sys.stdin.buffer.readline()
    while found := list(marked(mark.encode())):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def marked(mark: bytes) -> Iterator[int]:
    """Yield the processes that were started with this in their environment and have not ended."""
    for folder in Path("/proc").glob("[0-9]*"):
        # One that ended meanwhile, or belongs to somebody else, is none of ours; a dead one has no environment.
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


if __name__ == "__main__":
    main(sys.argv[1])
