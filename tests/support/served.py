"""The service as people run it: `hansard serve` in a process of its own, which can be killed and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx

from tests.support.ports import Port

_HANSARD: Final = Path(sys.executable).with_name("hansard")
_READY_SECONDS: Final = 90


class Served:
    """A server on one port and one database, whatever the environment of the tests holds."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = Port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = folder / "hansard.db"
        self._folder = folder
        self._environment = _environment({"DATABASE_URL": f"sqlite:///{self.database}", **settings})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it can serve."""
        command = [str(_HANSARD), "serve", "--port", str(self.port)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, cwd=self._folder, stdout=log, stderr=log)
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it as an operator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self._end(signal.SIGKILL)

    def run(self, *arguments: str) -> str:
        """Run another command of ours on the same settings, and return what it prints."""
        command = [str(_HANSARD), *arguments]
        done = subprocess.run(
            command, env=self._environment, cwd=self._folder, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip()

    def log(self) -> str:
        """What it printed."""
        return (self._folder / "log").read_text("utf-8", "replace")

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            assert process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            # To load the authorities' certificates takes forty times as long as to ask.
            return httpx.get(f"{self.url}/readyz", timeout=20, verify=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=60)
            self._process = None


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    ours = ("DATABASE_URL", "DATABASE_URL_DIRECT", "JWT_SECRET_KEY", "JWT_ALGORITHM")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HANSARD_") and name not in ours}
    return {**kept, **settings}


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    return Port().number
