"""Send the service everything that its OpenAPI document allows, and much that it does not, and check every answer.

    python -m tests.api.fuzz --seconds 300 --database sqlite --database postgresql

Each database gets a server of its own. The work is done by schemathesis, with all of its checks, on examples, on the
edges of every field, on random data and on sequences of requests.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.plugins.stores import make_ready
from tests.support.pg_server import running_postgres
from tests.support.served import Served

ROOT = Path(__file__).parents[2]
SECRET = "a-secret-of-more-than-thirty-two-bytes-for-tests"
HOOKS = "tests.support.fuzz_hooks"
DATABASES = ("sqlite", "postgresql")


def fuzz(url: str, key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis against a server, with a user's API key."""
    command = [str(Path(sys.executable).with_name("st")), "run", f"{url}/openapi.json", "--no-color"]
    told = ["-H", f"Authorization: Bearer {key}", "--checks", "all", "--request-timeout=60"]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [*command, *told, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )


@contextlib.contextmanager
def serving(database: str) -> Iterator[Served]:
    """A server in a process of its own, on a new database."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = {"JWT_SECRET_KEY": SECRET, "HANSARD_OFFLINE_PACE_SECONDS": "0"}
        if database == "postgresql":
            postgres = stack.enter_context(running_postgres())
            postgres.make_template("ready", make_ready)
            settings["DATABASE_URL"] = postgres.clone("ready")
        server = Served(folder, **settings)
        server.start()
        stack.callback(server.stop)
        yield server


def main() -> int:
    """Fuzz one database after the other; 0 when nothing was found."""
    parser = argparse.ArgumentParser(description="Fuzz the HTTP API.")
    parser.add_argument("--seconds", type=int, default=300, help="how long on each database (default: 300)")
    parser.add_argument("--database", action="append", choices=DATABASES, help="may be repeated (default: each)")
    parser.add_argument("--seed", default="1", help="of everything that is random (default: 1)")
    asked = parser.parse_args()
    worst = 0
    for database in asked.database or DATABASES:
        with serving(database) as server:
            key = server.run("token", "fuzz")
            found = fuzz(
                server.url, key, f"--max-time={asked.seconds}", f"--seed={asked.seed}", "--generation-database=none"
            )
            sys.stdout.write(f"== {database}\n{found.stdout}{found.stderr}\n")
            sys.stdout.flush()
            worst = max(worst, found.returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
