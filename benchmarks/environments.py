"""Give every peer an environment of its own, made when it is first raced, from the releases it is pinned to."""

import asyncio
import shutil
import sys
from pathlib import Path

from benchmarks.results import ROOT

PINS = ROOT / "benchmarks" / "peers"
FOLDER = ROOT / ".cache" / "bench" / "peers"
INSTALL_SECONDS = 600


class NotInstalledError(RuntimeError):
    """Say why a peer could not be installed."""


async def interpreter(peer: str) -> Path:
    """Return the Python of a peer's environment; raises `NotInstalledError`, so that the race goes on without it."""
    pins = PINS / f"{peer}.txt"
    folder = FOLDER / peer
    python = folder / "bin" / "python"
    ready = folder / "pins.txt"
    if ready.exists() and ready.read_bytes() == pins.read_bytes():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    await _run(sys.executable, "-m", "venv", str(folder))
    await _run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(pins))
    shutil.copyfile(pins, ready)
    return python


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, errors = await asyncio.wait_for(process.communicate(), INSTALL_SECONDS)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        raise NotInstalledError(f"its installation took longer than {INSTALL_SECONDS} s") from None
    if process.returncode:
        told = [line for line in errors.decode(errors="replace").splitlines() if line.startswith("ERROR")]
        raise NotInstalledError(told[-1] if told else f"{command[2]} failed")
