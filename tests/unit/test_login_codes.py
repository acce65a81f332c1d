"""A login code is good once, for five minutes, in any process that has the secret."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier

import pytest

from hansard.api.sign_in import LoginCodes

KEY = b"k" * 32
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def codes_at(tmp_path: Path) -> Callable[..., LoginCodes]:
    """Codes of another process, some time after the start."""
    return lambda after=timedelta(), key=KEY: LoginCodes(key, tmp_path / "used", clock=lambda: START + after)


def test_a_code_is_good_once_also_in_another_process(codes_at: Callable[..., LoginCodes]):
    code = codes_at().issue()
    assert codes_at().redeem(code)
    assert not codes_at().redeem(code)
    assert not codes_at().redeem(code + "=")


def test_two_codes_are_good_for_themselves(codes_at: Callable[..., LoginCodes]):
    codes = codes_at()
    first, second = codes.issue(), codes.issue()
    assert first != second
    assert codes.redeem(second)
    assert codes.redeem(first)


def test_a_code_ends_after_five_minutes(codes_at: Callable[..., LoginCodes]):
    code = codes_at().issue()
    assert not codes_at(timedelta(minutes=5)).redeem(code)
    assert codes_at(timedelta(minutes=5, seconds=-1)).redeem(code)


@pytest.mark.parametrize("bad", ["", "x", "é", "!" * 70, "A" * 75, "A" * 10_000])
def test_what_is_no_code_is_refused_and_leaves_nothing(codes_at: Callable[..., LoginCodes], tmp_path: Path, bad: str):
    assert not codes_at().redeem(bad)
    assert not codes_at(key=b"other key").redeem(codes_at().issue())
    altered = codes_at().issue()
    assert not codes_at().redeem(("B" if altered[0] == "A" else "A") + altered[1:])
    assert list(tmp_path.iterdir()) == []


def test_of_many_at_once_one_gets_in(codes_at: Callable[..., LoginCodes]):
    code, barrier = codes_at().issue(), Barrier(8)

    def redeem(_: int) -> bool:
        barrier.wait()
        return codes_at().redeem(code)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(redeem, range(8))) == [False] * 7 + [True]


def test_marks_of_expired_codes_are_cleared(codes_at: Callable[..., LoginCodes], tmp_path: Path):
    assert codes_at().redeem(codes_at().issue())
    later = timedelta(minutes=5, seconds=1)
    assert codes_at(later).redeem(codes_at(later).issue())
    assert len(list((tmp_path / "used").iterdir())) == 1
