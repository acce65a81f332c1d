"""Put a server under load with wrk. `make bench ARGS='http'` fetches it; nothing is installed."""

import json
import os
import re
import resource
import subprocess
from pathlib import Path
from typing import NamedTuple

from benchmarks.results import ROOT

FOLDER = ROOT / ".cache" / "wrk"
PROGRAM = FOLDER / "usr" / "bin" / "wrk"
CONNECTIONS = 16
_FAILED = ("Non-2xx", "Socket errors")


class Loaded(NamedTuple):
    """Hold what wrk found, and what the work cost: microseconds of the server's processor time for each request.

    ``tool`` is how much of one processor wrk itself took.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    server_us: float
    tool: float


def load(url: str, *, seconds: int, pid: int, token: str = "", script: Path | None = None) -> Loaded:
    """Ask for ``url`` over and over; fails when any answer is an error."""
    asked, environment = command(url, connections=CONNECTIONS, seconds=seconds, token=token, script=script)
    before, own = processor_seconds(pid), resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(asked, env=environment, check=True, capture_output=True, text=True).stdout
    spent, used = processor_seconds(pid) - before, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert not any(word in said for word in _FAILED), said
    count = int(_found(r"(\d+) requests in", said))
    tool = (used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime) / seconds
    p50, p99 = (_milliseconds(_found(rf"(?m)^ +{share}% +(\S+)$", said)) for share in (50, 99))
    return Loaded(float(_found(r"Requests/sec:\s+(\S+)", said)), p50, p99, spent / count * 1e6, tool)


def command(
    url: str, *, connections: int, seconds: int, token: str = "", script: Path | None = None
) -> tuple[list[str], dict[str, str]]:
    """Return how to call wrk, and with which environment: its libraries lie beside it."""
    asked = [str(PROGRAM), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    asked += ["-H", f"Authorization: Bearer {token}"] if token else []
    asked += ["-s", str(script)] if script else []
    libraries = ":".join(str(path.parent) for path in FOLDER.glob("usr/lib/*/*.so*"))
    return [*asked, url], {"PATH": os.defpath, "LD_LIBRARY_PATH": libraries}


def posting(path: Path, targets: list[str], body: object) -> Path:
    """Write the script that sends ``body`` to each target in turn."""
    listed = ",".join(json.dumps(target) for target in targets)
    path.write_text(
        f"local targets, turn = {{{listed}}}, 0\n"
        f"local body = [==[{json.dumps(body)}]==]\n"
        "wrk.headers['Content-Type'] = 'application/json'\n"
        "request = function()\n"
        "  turn = turn % #targets + 1\n"
        "  return wrk.format('POST', targets[turn], nil, body)\n"
        "end\n"
    )
    return path


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has taken, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _found(pattern: str, said: str) -> str:
    found = re.search(pattern, said)
    assert found is not None, said
    return found[1]


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr] # wrk's own units
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]
