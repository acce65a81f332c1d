"""Where another application signs people in, its cookie lets the page in, and nobody else's page."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from hansard.api.auth import issue_token
from hansard.config import Settings
from tests.api.live import SECRET, LiveServer, serving, settings_for
from tests.support.calls import get

COOKIE = "session"
FROM_OUR_PAGE = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def settings(sqlite_url: str) -> Settings:
    return settings_for(sqlite_url)


@pytest.fixture
def handing_over(settings: Settings) -> Iterator[LiveServer]:
    changed = {"session_cookie": COOKIE, "sign_in_url": "https://app.example.org/sign-in?to=chat&x=%22"}
    with serving(Settings.model_validate({**as_environment(settings), **changed})) as live:
        yield live


def as_environment(settings: Settings) -> dict[str, object]:
    return {"DATABASE_URL": settings.database_url, "JWT_SECRET_KEY": settings.jwt_secret_key}


def browser_of(live: LiveServer, token: str) -> httpx.Client:
    return httpx.Client(base_url=live.url, cookies={COOKIE: token}, timeout=60, verify=False)


def test_the_cookie_is_the_users_token(handing_over: LiveServer):
    with browser_of(handing_over, handing_over.newcomer("ann").key) as browser:
        assert browser.get("/auth/user", headers=FROM_OUR_PAGE).json() == {"user_id": "ann"}
        made = browser.post("/v1/conversations", headers={**FROM_OUR_PAGE, "x-hansard-csrf": "1"})
    assert handing_over.newcomer("ann").http.get(f"/v1/conversations/{made.json()['id']}").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-site", "x-hansard-csrf": "1"},
        {"sec-fetch-site": "cross-site", "x-hansard-csrf": "1"},
        {"origin": "https://evil.example", "x-hansard-csrf": "1"},
        {"origin": "null", "x-hansard-csrf": "1"},
    ],
)
def test_it_does_not_count_for_other_pages(handing_over: LiveServer, headers: dict[str, str]):
    with browser_of(handing_over, handing_over.newcomer("ann").key) as browser:
        assert browser.get("/v1/conversations", headers=headers).status_code == 401


def test_a_change_needs_our_header(handing_over: LiveServer):
    with browser_of(handing_over, handing_over.newcomer("ann").key) as browser:
        assert browser.post("/v1/conversations", headers=FROM_OUR_PAGE).status_code == 401


def test_it_counts_behind_a_proxy_that_speaks_tls(handing_over: LiveServer):
    with browser_of(handing_over, handing_over.newcomer("ann").key) as browser:
        origin = str(browser.base_url).replace("http:", "https:").rstrip("/")
        headers = {"origin": origin, "x-hansard-csrf": "1"}
        assert browser.post("/v1/conversations", headers=headers).status_code == 200


@pytest.mark.parametrize("seconds, code", [(-1, "expired"), (60, "not valid")])
def test_a_late_or_forged_token_is_refused_with_the_reason(handing_over: LiveServer, seconds: int, code: str):
    secret = SECRET if seconds < 0 else SECRET[::-1]
    token = issue_token(secret.encode(), "ann", ttl=timedelta(seconds=seconds))
    with browser_of(handing_over, token) as browser:
        answer = browser.get("/auth/user", headers=FROM_OUR_PAGE)
    assert answer.status_code == 401
    assert code in answer.json()["error"]["message"]


def test_the_page_knows_where_people_sign_in(handing_over: LiveServer):
    page = get(handing_over.url)
    assert 'href="https://app.example.org/sign-in?to=chat&amp;x=%22"' in page.text


def test_without_a_cookie_to_read_there_is_no_page(settings: Settings):
    with serving(settings) as live:
        assert get(live.url).status_code == 404


def test_the_page_can_be_switched_off(settings: Settings):
    environment = {**as_environment(settings), "JWT_SECRET_KEY": None, "page": False}
    with serving(Settings.model_validate(environment)) as live:
        assert get(live.url).status_code == 404
        assert get(f"{live.url}/auth/user").status_code == 401
