"""Print results as Markdown, with what they were measured on."""

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version

PACKAGES = ("psycopg", "sqlalchemy")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; numbers stand to the right."""
    lines = [list(map(str, heads))]
    lines += [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [all(row[at][:1].isdigit() for row in lines[1:]) for at in range(len(heads))]
    spelled = [
        "| "
        + " | ".join(_place(cell, width, right) for cell, width, right in zip(row, widths, numeric, strict=True))
        + " |"
        for row in lines
    ]
    rule = (
        "|"
        + "|".join("-" * (width + 1) + (":" if right else "-") for width, right in zip(widths, numeric, strict=True))
        + "|"
    )
    return "\n".join([spelled[0], rule, *spelled[1:]])


def _place(cell: str, width: int, right: bool) -> str:  # noqa: FBT001 - one of three columns of a table
    return cell.rjust(width) if right else cell.ljust(width)


def conditions(server: str, *packages: str) -> str:
    """Return one line that names the machine and the versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in (*PACKAGES, *packages))
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, PostgreSQL {server}, {versions}"
