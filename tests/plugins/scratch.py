"""Where the tests' folders lie: in memory, where there is room, because SQLite waits for the disk at each commit.

Memory loses what a file system may lose only with the machine; a test kills processes, and what these wrote outlives
them there just as on a disk. `--basetemp` names another place.
"""

import os
import shutil
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3


def pytest_configure(config: pytest.Config) -> None:
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
