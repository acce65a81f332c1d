"""The embedded server has one user, answers this machine only, and lets a browser in by a code that is good once."""

import re
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from hansard.app import Access, open_access
from hansard.config import Settings
from hansard.errors import InvalidInput
from tests.api.live import LiveServer, serving, settings_for
from tests.support.calls import get, post

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
FROM_OUR_SCRIPT = {"x-hansard-csrf": "1", "sec-fetch-site": "same-origin"}


@pytest.fixture
def settings(sqlite_url: str) -> Settings:
    return settings_for(sqlite_url, secret=None)


@pytest.fixture
def access(settings: Settings) -> Access:
    """What another process on the same database knows."""
    return open_access(settings)


@pytest.fixture
def embedded(settings: Settings) -> Iterator[LiveServer]:
    with serving(settings) as live:
        yield live


@pytest.fixture
def browser(embedded: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=embedded.url, timeout=60, verify=False) as client:
        yield client


def sign_in(browser: httpx.Client, access: Access) -> httpx.Response:
    assert access.sessions is not None
    return browser.post("/auth/session", json={"code": access.sessions.codes.issue()})


def test_the_key_opens_the_api_for_the_local_user_alone(embedded: LiveServer, access: Access):
    key = access.token("local", ttl=timedelta(hours=1))
    headers = {"authorization": f"Bearer {key}"}
    assert post(f"{embedded.url}/v1/conversations", headers=headers).status_code == 200
    with pytest.raises(InvalidInput):
        access.token("ann", ttl=timedelta(hours=1))
    assert embedded.newcomer("local").http.get("/v1/conversations").status_code == 401
    assert get(f"{embedded.url}/v1/conversations").status_code == 401


def test_a_code_is_traded_once_for_a_cookie_no_script_can_read(browser: httpx.Client, access: Access):
    assert access.sessions is not None
    code = access.sessions.codes.issue()
    answer = browser.post("/auth/session", json={"code": code})
    assert (answer.status_code, answer.json()) == (200, {"user_id": "local"})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{access.sessions.cookie}=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    again = browser.post("/auth/session", json={"code": code})
    assert (again.status_code, again.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize("body", [{}, {"code": 5}, {"code": "x", "more": 1}])
def test_a_sign_in_that_is_none_is_400(browser: httpx.Client, body: Any):
    assert browser.post("/auth/session", json=body).status_code == 400


def test_a_wrong_code_is_401_and_a_huge_one_413(browser: httpx.Client):
    for code in ("", "x", "A" * 75, "\u00e9", "\x00"):
        assert browser.post("/auth/session", json={"code": code}).status_code == 401
    assert browser.post("/auth/session", json={"code": "A" * 5000}).status_code == 413


def test_the_cookie_opens_the_api_for_our_own_page(browser: httpx.Client, access: Access):
    sign_in(browser, access)
    made = browser.post("/v1/conversations", headers=FROM_OUR_SCRIPT)
    assert made.status_code == 200
    assert browser.get(f"/v1/conversations/{made.json()['id']}", headers=SAME_ORIGIN).json() == made.json()
    assert browser.get("/api/tasks", headers={"x-hansard-csrf": "1"}).status_code == 200
    origin = {"origin": str(browser.base_url).rstrip("/")}
    assert browser.post("/api/tasks", json={"title": "x"}, headers=FROM_OUR_SCRIPT | origin).status_code == 201


@pytest.mark.parametrize(
    "method, headers",
    [
        ("GET", {}),
        ("GET", {"sec-fetch-site": "none"}),
        ("GET", {"sec-fetch-site": "same-site"}),
        ("GET", {"sec-fetch-site": "cross-site", "x-hansard-csrf": "1"}),
        ("GET", {"sec-fetch-site": "same-origin", "origin": "http://evil.example"}),
        ("GET", {"x-hansard-csrf": "1", "origin": "null"}),
        ("POST", {}),
        ("POST", SAME_ORIGIN),
        ("POST", {"x-hansard-csrf": "0", "sec-fetch-site": "same-origin"}),
        ("POST", {"x-hansard-csrf": "1", "sec-fetch-site": "same-site"}),
        ("POST", FROM_OUR_SCRIPT | {"origin": "http://127.0.0.1:1"}),
        ("POST", FROM_OUR_SCRIPT | {"origin": "http://localhost"}),
    ],
)
def test_the_cookie_does_not_count_from_elsewhere(
    browser: httpx.Client, access: Access, method: str, headers: dict[str, str]
):
    sign_in(browser, access)
    assert browser.request(method, "/v1/conversations", headers=headers).status_code == 401
    assert browser.get("/v1/conversations", headers=SAME_ORIGIN).json()["data"] == []


def test_a_cookie_that_is_not_ours_does_not_count(browser: httpx.Client, access: Access):
    assert access.sessions is not None
    for forged in ("x", access.token("local", ttl=timedelta(hours=1))):
        browser.cookies.set(access.sessions.cookie, forged)
        assert browser.get("/v1/conversations", headers=SAME_ORIGIN).status_code == 401


def test_a_wrong_key_is_not_saved_by_the_cookie(browser: httpx.Client, access: Access):
    sign_in(browser, access)
    headers = FROM_OUR_SCRIPT | {"authorization": "Bearer wrong"}
    assert browser.get("/v1/conversations", headers=headers).status_code == 401


def test_only_this_machines_names_are_answered(embedded: LiveServer):
    port = embedded.url.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert get(f"{embedded.url}/healthz", headers={"host": host}).status_code == 200
    for host in ("127.0.0.1", "localhost", "localhost:1", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", ""):
        answer = get(f"{embedded.url}/healthz", headers={"host": host})
        assert (answer.status_code, answer.json()["error"]["code"]) == (421, "misdirected_request")
        assert answer.headers["x-request-id"].startswith("req_")


def test_two_host_headers_are_not_answered(embedded: LiveServer):
    port = int(embedded.url.rpartition(":")[2])
    request = f"GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request.encode())
        status = connection.recv(100).split()[1]
    assert status in {b"400", b"421"}


def test_the_page_is_served_with_a_strict_policy(browser: httpx.Client):
    page = browser.get("/")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    for rule in (
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ):
        assert rule in policy
    assert "unsafe" not in policy
    [script] = re.findall(r'<script type="module" src="([^"]+)">', page.text)
    answer = browser.get(script)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert "immutable" in answer.headers["cache-control"]
    assert browser.get(f"{script}x").status_code == 404


def test_with_a_secret_there_is_no_sign_in_by_code(sqlite_server: LiveServer):
    assert post(f"{sqlite_server.url}/auth/session", json={"code": "x"}).status_code == 404


def test_used_codes_stay_used_after_a_restart(settings: Settings, access: Access, sqlite_url: str):
    assert access.sessions is not None
    code = access.sessions.codes.issue()
    statuses = []
    for _ in range(2):
        with serving(settings) as live:
            statuses.append(post(f"{live.url}/auth/session", json={"code": code}).status_code)
    assert statuses == [200, 401]
    left = {path.name for path in Path(sqlite_url.removeprefix("sqlite:///")).parent.iterdir()}
    assert left == {"hansard.db", "hansard.db.secret", "hansard.db.secret.used"}
