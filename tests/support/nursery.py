"""Servers that start in a tenth of a second, because they are forked from a process that has everything loaded.

Killing one with -9 is real; only loading Python and its packages anew, which proves nothing, is left out.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx

_READY_SECONDS: Final = 60
_PARENT: Final = """
import json, os, signal, socket, sys
import uvicorn
from hansard.app import create_app
from hansard.config import load_settings

signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
for line in sys.stdin:
    # Bound here and handed over: between finding a free port and taking it, somebody else may take it.
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid:
        print(pid, listener.getsockname()[1], flush=True)
        listener.close()
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.update(json.loads(line))
    uvicorn.Server(uvicorn.Config(create_app(load_settings()), log_config=None, access_log=False)).run([listener])
    os._exit(0)
"""


class Child:
    """A server process: where it answers, and how to end it."""

    def __init__(self, pid: int, url: str) -> None:
        self.pid = pid
        self.url = url

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        while self._is_there():
            time.sleep(0.005)

    def pause(self) -> None:
        """Stop it in its tracks, and return when every thread has stopped: one may be inside a system call."""
        os.kill(self.pid, signal.SIGSTOP)
        while not all(_is_stopped(thread) for thread in Path(f"/proc/{self.pid}/task").iterdir()):
            time.sleep(0.001)

    def wake(self) -> None:
        """Let it go on as if no time had passed."""
        os.kill(self.pid, signal.SIGCONT)

    def _is_there(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


class Nursery:
    """Fork servers with these settings."""

    def __init__(self, parent: subprocess.Popen[str], settings: Mapping[str, str]) -> None:
        self._parent = parent
        self._settings = dict(settings)

    def start(self) -> Child:
        """Return a server that answers, on a port of its own."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(self._settings) + "\n")
        self._parent.stdin.flush()
        pid, port = self._parent.stdout.readline().split()
        child = Child(int(pid), f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + _READY_SECONDS
        while not _answers(child.url):
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.02)
        return child


@contextlib.contextmanager
def nursery(folder: Path, settings: Mapping[str, str]) -> Iterator[Nursery]:
    """Run the parent of servers; what they print goes to a file in the folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HANSARD_", "DATABASE_"))}
    with (folder / "servers.log").open("ab") as log:
        parent = subprocess.Popen(
            [sys.executable, "-c", _PARENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        )
    try:
        yield Nursery(parent, settings)
    finally:
        parent.kill()
        parent.wait()
        for pipe in (parent.stdin, parent.stdout):
            if pipe is not None:
                pipe.close()


def _is_stopped(thread: Path) -> bool:
    # The name before the state is in parentheses and may hold anything.
    return (thread / "stat").read_text().rpartition(") ")[2].startswith("T")


def _answers(url: str) -> bool:
    try:
        # To load the authorities' certificates takes forty times as long as to ask.
        return httpx.get(f"{url}/healthz", timeout=20, verify=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
