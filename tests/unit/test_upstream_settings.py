"""An upstream is configured whole or not at all, and never as oneself."""

import pytest

from hansard.agents.upstream import via
from hansard.cli.serve import _check_upstream
from hansard.config import Settings, environment_name, load_settings
from hansard.errors import ConfigurationError

PLACE = "http://models.example.com/v1"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)


def settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(f"HANSARD_UPSTREAM_{name.upper()}", value)
    return load_settings()


def test_names_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch):
    found = settings(monkeypatch, base_url=PLACE, models=" large-1,org/small:2 ,", hosted_tools="web_search,mcp")
    assert found.upstream_models == ("large-1", "org/small:2")
    assert found.upstream_hosted_tools == ("web_search", "mcp")


@pytest.mark.parametrize(
    "values",
    [
        {"base_url": PLACE},
        {"models": "large"},
        {"base_url": PLACE, "models": " , "},
        {"base_url": "ftp://models.example.com", "models": "large"},
        {"base_url": "http://me:very-secret@models.example.com/v1", "models": "large"},
        {"base_url": f"{PLACE}?key=very-secret", "models": "large"},
        {"base_url": f"{PLACE}#very-secret", "models": "large"},
        {"base_url": PLACE, "models": "large", "api": "very-secret"},
        {"base_url": PLACE, "models": "large", "silence_seconds": "0"},
    ],
    ids=str,
)
def test_what_cannot_work_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]):
    with pytest.raises(ConfigurationError, match="HANSARD_UPSTREAM_") as caught:
        settings(monkeypatch, **values)
    assert "very-secret" not in str(caught.value)


def test_the_key_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    assert "very-secret" not in repr(settings(monkeypatch, base_url=PLACE, models="m", api_key="very-secret"))


@pytest.mark.parametrize(
    "url,host",
    [
        ("http://127.0.0.1:8000/v1", "127.0.0.1"),
        ("http://localhost:8000/v1", "127.0.0.1"),
        ("http://[::1]:8000/v1", "127.0.0.1"),
        ("http://127.0.0.1:8000/v1", "0.0.0.0"),
        ("http://10.0.0.7:8000/v1", "10.0.0.7"),
    ],
)
def test_a_server_does_not_start_with_itself_for_an_upstream(monkeypatch: pytest.MonkeyPatch, url: str, host: str):
    with pytest.raises(ConfigurationError, match="this server itself"):
        _check_upstream(settings(monkeypatch, base_url=url, models="m"), host, 8000)


@pytest.mark.parametrize(
    "url,host",
    [("http://127.0.0.1:8001/v1", "127.0.0.1"), ("http://10.0.0.8:8000/v1", "10.0.0.7"), (PLACE, "model.local")],
)
def test_another_server_is_another(monkeypatch: pytest.MonkeyPatch, url: str, host: str):
    _check_upstream(settings(monkeypatch, base_url=url, models="m"), host, 8000)
    _check_upstream(load_settings(), host, 80)


def test_names_of_processes_are_handed_on():
    first, second = via.new_name(), via.new_name()
    assert first != second
    with via.coming_through(via.names_in(via.header_of(first))):
        assert via.names_in(via.header_of(second)) == (first, second)
    assert via.header_of(second) == second


def test_a_header_of_anything_else_holds_no_names():
    assert via.names_in("x, \x00, " + "0" * 31) == ()
    assert len(via.names_in(", ".join(via.new_name() for _ in range(1000)))) == 64
