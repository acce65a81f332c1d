"""Settings are read from the environment, refused by name, and all documented."""

import re
from pathlib import Path

import pytest

from hansard.config import Settings, environment_name, load_settings
from hansard.errors import ConfigurationError

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)


def test_every_setting_is_documented_with_its_default():
    expected = set()
    for field, info in Settings.model_fields.items():
        default = info.default
        if hasattr(default, "get_secret_value"):
            default = default.get_secret_value()
        shown = "unset" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        expected.add(f"| `{environment_name(field)}` | {shown} | {info.description} |")
    rows = set(re.findall(r"^\| `.*\|$", REFERENCE.read_text(), re.MULTILINE))
    assert rows == expected


def test_without_an_environment_there_is_a_file_in_this_folder(tmp_path: Path):
    settings = load_settings()
    assert settings.database_url.get_secret_value() == settings.migration_url == "sqlite:///hansard.db"
    assert settings.jwt_secret_key is None


def test_the_environment_rules(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@pooler/db")
    monkeypatch.setenv("DATABASE_URL_DIRECT", "postgresql://u:p@direct/db")
    monkeypatch.setenv("JWT_SECRET_KEY", "s" * 32)
    monkeypatch.setenv("HANSARD_PROVISION_USERS", "false")
    monkeypatch.setenv("HANSARD_MAX_ITEM_BYTES", "2097152")
    monkeypatch.setenv("HANSARD_LOG_LEVEL", "warning")
    settings = load_settings()
    assert settings.database_url.get_secret_value() == "postgresql://u:p@pooler/db"
    assert settings.migration_url == "postgresql://u:p@direct/db"
    assert settings.jwt_secret_key is not None
    assert settings.jwt_secret_key.get_secret_value() == "s" * 32
    assert (settings.provision_users, settings.max_item_bytes, settings.log_level) == (False, 2097152, "WARNING")


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JWT_SECRET_KEY", "")
    monkeypatch.setenv("DATABASE_URL_DIRECT", "")
    assert (load_settings().jwt_secret_key, load_settings().database_url_direct) == (None, None)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:very-secret@host/db")
    monkeypatch.setenv("JWT_SECRET_KEY", "very-secret" * 4)
    assert "very-secret" not in repr(load_settings())


@pytest.mark.parametrize(
    "name, value",
    [
        ("JWT_ALGORITHM", "none"),
        ("JWT_ALGORITHM", "RS256"),
        ("HANSARD_MAX_ITEM_BYTES", "10"),
        ("HANSARD_MAX_ITEM_BYTES", "very-large"),
        ("HANSARD_PROVISION_USERS", "very-much"),
        ("HANSARD_LOG_LEVEL", "very-loud"),
    ],
)
def test_a_setting_that_cannot_work_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_settings()
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "name, value, told",
    [
        ("HANSARD_RATE_LIMIT", "very-many", "must look like 600/minute or 600/minute burst 50"),
        ("HANSARD_CORS_ORIGINS", "chat.example.com", "each must be scheme, host and port alone"),
        ("HANSARD_UPSTREAM_MODELS", "large-model", "it goes together with HANSARD_UPSTREAM_BASE_URL"),
    ],
)
def test_what_a_setting_must_be_is_told_in_words_for_people(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{name}: {told}")
