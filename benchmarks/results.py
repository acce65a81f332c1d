"""Keep results, with what they were measured on: JSON to compute with, Markdown to read."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.server import flush_ms, shown
from tests.support.pg_server import PostgresServer

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "benchmarks" / "results"
# What a quick run finds is for the one who ran it.
QUICK = ROOT / ".cache" / "bench" / "results"
PACKAGES = ("hansard", "sqlalchemy", "psycopg")


def conditions(server: PostgresServer | None = None, *, packages: Iterable[str] = PACKAGES) -> dict[str, Any]:
    """Return what the results depend on: the machine, the versions, how busy everything was."""
    return {
        "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "system": f"{platform.system()} {platform.release()}",
            "flush_ms": round(flush_ms(), 2),
            "load_before": round(os.getloadavg()[0], 1),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "postgresql": shown(server) if server else {},
    }


def keep(name: str, document: dict[str, Any], markdown: str, *, quick: bool = False) -> Path:
    """Write ``NAME.json`` and ``NAME.md``; return where the JSON is."""
    folder = QUICK if quick else KEPT
    folder.mkdir(parents=True, exist_ok=True)
    document["machine"]["load_after"] = round(os.getloadavg()[0], 1)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    path.with_suffix(".md").write_text(f"{markdown}\n\n{told(document)}\n")
    return path


def told(document: dict[str, Any]) -> str:
    """Return one paragraph that says what was measured on, and when."""
    machine, versions, server = document["machine"], document["versions"], document["postgresql"]
    releases = {"Python": versions["python"], **{name: versions[name] for name in versions if name != "python"}}
    if server:
        releases = {"PostgreSQL": server["server_version"], **releases}
    durable = "; fsync, synchronous_commit and full_page_writes on" if server else ""
    return (
        f"Measured on {document['taken'][:10]}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['system']}, a flush of 8 kB takes {machine['flush_ms']} ms; "
        f"{', '.join(f'{name} {number}' for name, number in releases.items())}{durable}. "
        f"Load of the machine {machine['load_before']} before and {machine.get('load_after', '?')} after "
        f"(all clients and the server run on it)."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
