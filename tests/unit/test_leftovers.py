"""What the tests start ends with them."""

import os
import subprocess
import sys

import pytest

from tests.plugins.leftovers import MARK
from tests.support import reaper

SLEEPER = "import time; time.sleep(600)"


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_whoever_carries_the_mark_is_killed_when_the_run_is_gone():
    with (
        subprocess.Popen([sys.executable, "-c", SLEEPER], env={MARK: "this"}) as ours,
        subprocess.Popen([sys.executable, "-c", SLEEPER], env={MARK: "another"}) as theirs,
        subprocess.Popen([sys.executable, "-I", "-S", reaper.__file__, f"{MARK}=this"], stdin=subprocess.PIPE) as watch,
    ):
        try:
            assert watch.stdin is not None
            watch.stdin.close()
            assert ours.wait(60) == -9
            assert theirs.poll() is None
        finally:
            theirs.kill()


def test_each_process_of_the_tests_is_marked():
    assert os.environ[MARK].encode() in b"".join(
        subprocess.check_output([sys.executable, "-c", f"import os; print(os.environ[{MARK!r}])"]).split()
    )
