"""The embedded server's secret is made once, and kept from others."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from hansard.api.local_secret import LocalSecret
from hansard.errors import ConfigurationError


def test_it_stands_beside_the_database_for_its_owner_alone(tmp_path: Path):
    secret = LocalSecret(tmp_path / "new" / "chat.db")
    assert secret.path == tmp_path / "new" / "chat.db.secret"
    assert stat.S_IMODE(secret.path.stat().st_mode) == 0o600
    assert [left.name for left in secret.path.parent.iterdir()] == ["chat.db.secret"]


def test_it_stays_the_same_and_gives_each_purpose_a_key(tmp_path: Path):
    one, again = LocalSecret(tmp_path / "a.db"), LocalSecret(tmp_path / "a.db")
    other = LocalSecret(tmp_path / "b.db")
    keys = {one.derive("x"), one.derive("y"), other.derive("x"), bytes.fromhex(one.path.read_text())}
    assert one.derive("x") == again.derive("x")
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}


def test_processes_that_start_at_once_agree(tmp_path: Path):
    barrier = Barrier(8)

    def start(_: int) -> bytes:
        barrier.wait()
        return LocalSecret(tmp_path / "a.db").derive("x")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1
    assert [left.name for left in tmp_path.iterdir()] == ["a.db.secret"]


def test_one_that_others_can_read_is_refused(tmp_path: Path):
    path = LocalSecret(tmp_path / "a.db").path
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        LocalSecret(tmp_path / "a.db")


@pytest.mark.parametrize("content", ["", "ab", "not hexadecimal", "é" * 32, "ab" * 31])
def test_one_that_is_none_is_refused_without_being_shown(tmp_path: Path, content: str):
    path = LocalSecret(tmp_path / "a.db").path
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="holds no secret") as caught:
        LocalSecret(tmp_path / "a.db")
    assert not content or content not in str(caught.value)


def test_a_folder_that_takes_none_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot keep a secret in .*a\.db\.secret: "):
        LocalSecret(tmp_path / "file" / "a.db")
