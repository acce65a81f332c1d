"""What is slow to import is loaded by those who need it: commands and workers start without it."""

import subprocess
import sys

import pytest

MIGRATING = {"alembic", "mako"}
EXTRAS = {
    "cryptography",
    "fastapi",
    "httpx",
    "jwt",
    "markdown_it",
    "opentelemetry",
    "prometheus_client",
    "psycopg",
    "pydantic_settings",
    "throttled",
    "typer",
    "uvicorn",
}


@pytest.mark.parametrize(
    "module, unneeded",
    [("hansard", MIGRATING | EXTRAS), ("hansard.cli.main", MIGRATING | {"httpx", "markdown_it", "psycopg"})],
)
def test_importing_loads_only_what_is_needed(module: str, unneeded: set[str]):
    script = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert module in loaded
    assert unneeded.intersection(loaded) == set()
