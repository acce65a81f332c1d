"""No process outlives the tests that started it, also when a worker or the whole run is killed.

Each process of the run marks the environment that its children inherit, and has a reaper that looks for the mark.
"""

import os
import subprocess
import sys
import uuid

import pytest

from tests.support import reaper

MARK = "TESTS_STARTED_BY"
REAPER = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    mark = os.environ[MARK] = uuid.uuid4().hex
    # Its own environment is empty: the mark of the process above, which it inherited, would be its end too early.
    config.stash[REAPER] = subprocess.Popen(
        [sys.executable, "-I", "-S", reaper.__file__, f"{MARK}={mark}"],
        stdin=subprocess.PIPE,
        env={},
        start_new_session=True,  # Ctrl-C at the terminal is for pytest, not for the reaper
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    os.environ.pop(MARK, None)
    config.stash[REAPER].communicate(b"\n", timeout=60)
