"""Tokens of an identity provider count by its published keys, and by nothing the token says about itself."""

import asyncio
from collections.abc import Iterator

import jwt
import pytest

from hansard.api.errors import ApiError
from hansard.api.jwks import FRESH_SECONDS, REFETCH_SECONDS, STALE_SECONDS, JwksVerifier, KeySet, Provider
from hansard.app import open_access
from hansard.config import Settings
from hansard.errors import ConfigurationError
from tests.api.live import serving
from tests.support.calls import get, post
from tests.support.key_server import AUDIENCE, ISSUER, KeyServer, key_server, new_key, public_jwk, token

ALGORITHMS = ["EdDSA", "ES256", "RS256"]
KEYS = {algorithm: new_key(algorithm) for algorithm in ALGORITHMS}


@pytest.fixture
def provider() -> Iterator[KeyServer]:
    with key_server() as server:
        server.keys = [public_jwk(key, algorithm, algorithm) for algorithm, key in KEYS.items()]
        yield server


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def verifier(server: KeyServer, clock: Clock | None = None) -> JwksVerifier:
    keys = KeySet(server.url, now=clock or Clock())
    return JwksVerifier(Provider(server.url, ISSUER, AUDIENCE), keys)


def settings(url: str, database: str, **more: object) -> Settings:
    values = {"DATABASE_URL": database, "DATABASE_URL_DIRECT": None, "JWT_SECRET_KEY": None, "jwks_url": url}
    return Settings.model_validate({**values, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, **more})


async def refused(verify: JwksVerifier, text: str) -> int:
    with pytest.raises(ApiError) as error:
        await verify.identity(text)
    return error.value.fault.status


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_of_each_kind_of_key_names_its_user(provider: KeyServer, algorithm: str):
    text = token(KEYS[algorithm], algorithm, algorithm, email="ann@example.org")
    assert await verifier(provider).identity(text) == ("ann", "ann@example.org")


def test_the_service_answers_who_has_a_token_and_nobody_else(provider: KeyServer, sqlite_url: str):
    with serving(settings(provider.url, sqlite_url)) as live:
        good = {"authorization": f"Bearer {token(KEYS['EdDSA'], 'EdDSA', 'EdDSA')}"}
        bad = {"authorization": f"Bearer {token(KEYS['EdDSA'], 'EdDSA', 'EdDSA', aud='somebody else')}"}
        made = post(f"{live.url}/v1/conversations", headers=good, json={})
        assert made.status_code == 200
        assert get(f"{live.url}/v1/conversations/{made.json()['id']}", headers=good).json() == made.json()
        answer = post(f"{live.url}/v1/conversations", headers=bad, json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": None},
        {"iss": "https://elsewhere.test"},
        {"aud": None},
        {"aud": "elsewhere"},
        {"exp": None},
        {"exp": 1},
        {"sub": None},
        {"sub": ""},
        {"sub": "n\x00l"},
        {"nbf": 99999999999},
    ],
    ids=str,
)
async def test_a_token_with_other_claims_is_refused(provider: KeyServer, claims: dict):
    assert await refused(verifier(provider), token(KEYS["ES256"], "ES256", "ES256", **claims)) == 401


async def test_a_public_key_is_never_taken_for_a_shared_secret(provider: KeyServer):
    secret = "the public key, used as an HMAC secret, long enough"
    text = jwt.encode({"sub": "ann", "iss": ISSUER, "aud": AUDIENCE, "exp": 9e9}, secret, headers={"kid": "RS256"})
    assert await refused(verifier(provider), text) == 401


async def test_an_unsigned_token_is_refused(provider: KeyServer):
    claims = {"sub": "ann", "iss": ISSUER, "aud": AUDIENCE, "exp": 9e9}
    text = jwt.encode(claims, "", algorithm="none", headers={"kid": "EdDSA"})
    assert await refused(verifier(provider), text) == 401


async def test_a_token_that_brings_its_own_key_is_refused(provider: KeyServer):
    stranger = new_key("EdDSA")
    with key_server() as theirs:
        theirs.keys = [public_jwk(stranger, "EdDSA", "EdDSA")]
        brought = {"jku": theirs.url, "x5u": theirs.url, "jwk": theirs.keys[0]}
        text = token(stranger, "EdDSA", "EdDSA", headers=brought)
        assert await refused(verifier(provider), text) == 401
        assert theirs.asked == 0


@pytest.mark.parametrize("more", [{"use": "enc"}, {"alg": "ES384"}, {"kty": "oct", "k": "c2VjcmV0"}], ids=str)
async def test_a_key_that_is_not_for_signatures_of_its_kind_verifies_nothing(provider: KeyServer, more: dict):
    provider.keys = [public_jwk(KEYS["ES256"], "ES256", "ES256", **more)]
    assert await refused(verifier(provider), token(KEYS["ES256"], "ES256", "ES256")) == 401


@pytest.mark.parametrize("odd", [{"kty": ["OKP"]}, {"crv": ["Ed25519"]}, {"kid": ["EdDSA"]}, {"kid": {}}, {"x": 5}])
async def test_a_key_that_nobody_can_read_keeps_no_other_from_verifying(provider: KeyServer, odd: dict):
    provider.keys.insert(0, {**public_jwk(KEYS["EdDSA"], "EdDSA", "odd"), **odd})
    assert (await verifier(provider).identity(token(KEYS["EdDSA"], "EdDSA", "EdDSA"))).user_id == "ann"


async def test_a_rotated_key_is_fetched_and_the_old_one_no_longer_counts(provider: KeyServer):
    clock, new = Clock(), new_key("EdDSA")
    verify = verifier(provider, clock)
    old_token = token(KEYS["EdDSA"], "EdDSA", "EdDSA")
    await verify.identity(old_token)
    provider.keys = [public_jwk(new, "EdDSA", "new")]
    clock.seconds += REFETCH_SECONDS
    assert (await verify.identity(token(new, "EdDSA", "new"))).user_id == "ann"
    assert await refused(verify, old_token) == 401


async def test_keys_are_fetched_once_and_unknown_ids_ask_at_most_once_a_minute(provider: KeyServer):
    clock = Clock()
    verify = verifier(provider, clock)
    texts = [token(KEYS["EdDSA"], "EdDSA", "EdDSA") for _ in range(20)]
    await asyncio.gather(*(verify.identity(text) for text in texts))
    assert provider.asked == 1
    for number in range(20):
        assert await refused(verify, token(KEYS["EdDSA"], "EdDSA", f"unknown {number}")) == 401
    assert provider.asked == 1
    clock.seconds += REFETCH_SECONDS
    for number in range(20):
        assert await refused(verify, token(KEYS["EdDSA"], "EdDSA", f"unknown {number}")) == 401
    assert provider.asked == 2


async def test_who_is_stopped_while_keys_are_fetched_takes_them_from_nobody(provider: KeyServer):
    verify, text = verifier(provider), token(KEYS["EdDSA"], "EdDSA", "EdDSA")
    provider.opened.clear()
    stopped = asyncio.create_task(verify.identity(text))
    assert await asyncio.to_thread(provider.begun.wait, 60)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    waiting = asyncio.create_task(verify.identity(text))
    await asyncio.sleep(0)
    provider.opened.set()
    assert (await waiting).user_id == "ann"
    assert provider.asked == 1


async def test_a_provider_that_never_ends_its_answer_is_not_waited_for(
    provider: KeyServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("hansard.api.jwks.RENEWAL_SECONDS", 0.05)
    provider.opened.clear()
    clock = Clock()
    verify, text = verifier(provider, clock), token(KEYS["EdDSA"], "EdDSA", "EdDSA")
    assert await refused(verify, text) == 503
    provider.opened.set()
    monkeypatch.undo()
    clock.seconds += REFETCH_SECONDS
    assert (await verify.identity(text)).user_id == "ann"


@pytest.mark.parametrize("status", [500, 302])
async def test_known_keys_serve_while_the_provider_does_not_answer_but_not_for_ever(provider: KeyServer, status: int):
    clock = Clock()
    verify = verifier(provider, clock)
    text = token(KEYS["EdDSA"], "EdDSA", "EdDSA", exp=9e9)
    await verify.identity(text)
    provider.status = status
    clock.seconds += FRESH_SECONDS + 1
    assert (await verify.identity(text)).user_id == "ann"
    clock.seconds += STALE_SECONDS
    assert await refused(verify, text) == 503


@pytest.mark.parametrize(
    "wrong",
    [
        {"jwks_url": "http://keys.example.org/jwks"},
        {"jwt_issuer": None},
        {"jwt_audience": None},
        {"JWT_SECRET_KEY": "s" * 32},
    ],
    ids=str,
)
def test_a_mode_that_cannot_be_safe_does_not_start(sqlite_url: str, wrong: dict):
    with pytest.raises(ConfigurationError):
        open_access(settings("https://accounts.test/jwks", sqlite_url, **wrong))
