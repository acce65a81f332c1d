"""The browser for the page's tests is found, or its absence comes with advice and not with a skip."""

import platform
from pathlib import Path

import pytest

from tests.support.browser import find_chromium


def test_the_browser_that_is_named_is_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHROME_BIN", "/opt/some/chromium")
    assert find_chromium().program == Path("/opt/some/chromium")


def test_an_installed_browser_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    program = tmp_path / "chromium"
    program.touch(mode=0o755)
    monkeypatch.delenv("CHROME_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_chromium().program == program


def test_where_none_can_be_had_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("CHROME_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(platform, "system", lambda: "Plan 9")
    with pytest.raises(RuntimeError, match="CHROME_BIN=/path/to/chromium make test"):
        find_chromium()
