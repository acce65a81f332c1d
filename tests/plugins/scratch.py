"""Where everything temporary lies: in memory, where there is room, because databases wait for a disk at each commit.

Memory loses what a disk may lose, too, only with the whole machine: the tests kill processes, and what these wrote
outlives them in either. TMPDIR names another place.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3


def pytest_configure(config: pytest.Config) -> None:
    if "TMPDIR" in os.environ or not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK | os.X_OK):
        return
    if shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # it remembers the place it found first
