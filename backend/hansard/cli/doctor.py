"""Look at the database, and say what to do about what is found."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from hansard.config import load_settings
from hansard.database.findings import Finding, Grade, worst

_MARKS = {Grade.OK: "ok", Grade.WARNING: "WARNING", Grade.FAILURE: "FAILURE"}
_MARK_WIDTH = 9
_CHECK_WIDTH = 14


def doctor(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False
) -> None:
    """Examine the database as the service reaches it; exit code 0: all well, 1: warnings, 2: failures."""
    from hansard.database.doctor import examine  # noqa: PLC0415 - loads Alembic

    settings = load_settings()
    url = settings.database_url.get_secret_value()
    direct = settings.database_url_direct is not None
    findings = examine(url, role=settings.database_role, direct=direct, search=settings.search_settings)
    if as_json:
        typer.echo(json.dumps({"grade": worst(findings).name.lower(), "findings": [_plain(one) for one in findings]}))
    else:
        for finding in findings:
            _print(finding)
    raise typer.Exit(worst(findings))


def _plain(finding: Finding) -> dict[str, str | None]:
    return {**finding._asdict(), "grade": finding.grade.name.lower()}


def _print(finding: Finding) -> None:
    typer.echo(f"{_MARKS[finding.grade]:<{_MARK_WIDTH}}{finding.check:<{_CHECK_WIDTH}}{finding.told}")
    if finding.advice:
        typer.echo(f"{'':<{_MARK_WIDTH + _CHECK_WIDTH}}{finding.advice}")
