"""A token is known no longer than verifying it again would come to the same."""

from datetime import timedelta

import pytest

from hansard.api import known_tokens
from hansard.api.auth import SECRET_BYTES, Hs256Verifier, issue_token
from hansard.api.errors import ApiError
from hansard.api.known_tokens import MOST, SECONDS, KnownTokens


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_it_is_known_for_a_while_and_then_has_to_be_verified_again():
    clock = Clock()
    known = KnownTokens[str](now=clock)
    known.keep("token", "ann", expires=10_000)
    clock.seconds += SECONDS - 1
    assert (known.find("token"), known.find("token2"), known.find("")) == ("ann", None, None)
    clock.seconds += 1
    assert known.find("token") is None


def test_it_ends_at_the_very_second_at_which_the_token_does():
    clock = Clock()
    known = KnownTokens[str](now=clock)
    known.keep("token", "ann", expires=1005)
    clock.seconds = 1004.9
    assert known.find("token") == "ann"
    clock.seconds = 1005
    assert known.find("token") is None


def test_other_keys_verify_anew():
    known = KnownTokens[str](now=Clock())
    old: dict[str, str] = {}
    new: dict[str, str] = {}
    known.keep("token", "ann", expires=10_000, keys=old)
    assert known.find("token", keys=old) == "ann"
    assert known.find("token", keys=new) is None
    assert known.find("token", keys=old) is None


def test_there_are_never_more_than_so_many_and_the_oldest_goes_first():
    known = KnownTokens[int](now=Clock())
    for number in range(MOST + 1):
        known.keep(f"token {number}", number, expires=10_000)
    assert [known.find(f"token {number}") for number in (0, 1, MOST)] == [None, 1, MOST]


def test_tokens_themselves_are_not_kept():
    known = KnownTokens[str](now=Clock())
    known.keep("a very secret token", "ann", expires=10_000)
    assert "secret" not in repr(vars(known))
    assert known_tokens.SECONDS <= 60


async def test_a_token_that_was_refused_is_refused_again():
    secret = b"x" * SECRET_BYTES
    verifier = Hs256Verifier(secret, only_user="ann")
    token = issue_token(secret, "bob", ttl=timedelta(minutes=1))
    for _ in range(2):
        with pytest.raises(ApiError):
            await verifier.identity(token)
