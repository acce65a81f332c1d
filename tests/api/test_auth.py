"""Only a token that the secret signed and that has not expired opens the API."""

import base64
import json
import time
from typing import Any

import jwt
import pytest

from tests.api.live import SECRET, LiveServer

OTHER_SECRET = "another-secret-that-is-long-enough-to-be-used"
CLAIMS = {"sub": "ann", "exp": int(time.time()) + 3600}


def encode(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def signed(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    kept = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode(kept, secret, algorithm=algorithm)


BAD = {
    "no scheme": signed(),
    "another scheme": f"Basic {signed()}",
    "no token": "Bearer",
    "garbage": "Bearer garbage",
    "dots": "Bearer ..",
    "not ASCII": "Bearer \xe9\xe9",
    "an API key of somebody else": "Bearer sk-123",
    "another secret": f"Bearer {signed(OTHER_SECRET)}",
    "another algorithm": f"Bearer {signed(algorithm='HS384')}",
    "no algorithm": f"Bearer {encode({'alg': 'none', 'typ': 'JWT'})}.{encode(CLAIMS)}.",
    "no algorithm, signed": f"Bearer {encode({'alg': 'none'})}.{encode(CLAIMS)}.{signed().rpartition('.')[2]}",
    "no signature": f"Bearer {signed().rpartition('.')[0]}.",
    "claims exchanged": f"Bearer {signed().split('.')[0]}.{encode(CLAIMS | {'sub': 'bob'})}.{signed().split('.')[2]}",
    "a deep header": f"Bearer {base64.urlsafe_b64encode(b'[' * 30_000).decode()}.e30.e30",
    "expired": f"Bearer {signed(exp=int(time.time()) - 1)}",
    "no expiry": f"Bearer {signed(exp=None)}",
    "an expiry that is no time": f"Bearer {signed(exp='tomorrow')}",
    "an expiry beyond all time": f"Bearer {signed(exp=10**400)}",
    "not valid yet": f"Bearer {signed(nbf=int(time.time()) + 3600)}",
    "for another audience": f"Bearer {signed(aud='somebody else')}",
    "no subject": f"Bearer {signed(sub=None)}",
    "an empty subject": f"Bearer {signed(sub='')}",
    "a long subject": f"Bearer {signed(sub='x' * 256)}",
    "NUL in the subject": f"Bearer {signed(sub='a' + chr(0))}",
    "a lone surrogate in the subject": f"Bearer {signed(sub=chr(0xD800))}",
}


@pytest.mark.parametrize("header", BAD.values(), ids=BAD)
def test_a_token_that_is_not_ours_or_not_valid_is_401(sqlite_server: LiveServer, header: str):
    client = sqlite_server.newcomer().http
    raw = [(b"authorization", header.encode("latin-1"))]
    for method, path in (("GET", "/v1/conversations"), ("POST", "/v1/conversations"), ("GET", "/api/tasks")):
        request = client.build_request(method, path)
        del request.headers["authorization"]
        request.headers = type(request.headers)([*request.headers.raw, *raw])
        answer = client.send(request)
        assert answer.status_code == 401, answer.text
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert answer.headers["x-should-retry"] == "false"
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")


def test_no_token_is_401_with_a_plain_challenge(sqlite_server: LiveServer):
    client = sqlite_server.newcomer().http
    del client.headers["authorization"]
    answer = client.get("/v1/conversations")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("user_id", ["a", "x" * 255, "😀" * 255, "auth0|5f7c", "Ann O'Neil; DROP TABLE"])
def test_the_subject_is_the_user(sqlite_server: LiveServer, user_id: str):
    one, other = sqlite_server.newcomer(user_id), sqlite_server.newcomer(user_id)
    made = one.http.post("/v1/conversations").json()
    assert other.http.get(f"/v1/conversations/{made['id']}").json() == made


def test_the_scheme_is_read_in_any_case(sqlite_server: LiveServer):
    client = sqlite_server.newcomer().http
    client.headers["authorization"] = client.headers["authorization"].replace("Bearer ", "bEARER  ")
    assert client.get("/v1/conversations").status_code == 200
