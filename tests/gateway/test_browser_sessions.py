"""A browser logs in, keeps its refresh token where no script can read it, and logs out."""

import asyncio

import httpx
import pytest

from mesh.auth import LOGIN_LINK, TokenMinter
from tests.gateway.conftest import ADMIN_PASSWORD, Running, reason_of

SESSION, REFRESH = "/api/v1/auth/session", "/api/v1/auth/session:refresh"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
VIEWER = {"userName": "viewer", "password": ADMIN_PASSWORD}


@pytest.fixture
def running(fresh: Running) -> Running:
    """A gateway of its own for each test."""
    return fresh


def cookie_of(answer: httpx.Response) -> str:
    """The pair of the cookie that an answer sets, after a look at its attributes."""
    pair, *attributes = answer.headers["set-cookie"].split("; ")
    wanted = {"HttpOnly", "Secure", "SameSite=strict", "Path=/api/v1/auth"}
    assert wanted <= set(attributes)
    return pair


async def go_on(running: Running, cookie: str, site: str = "same-origin") -> httpx.Response:
    headers = {"Cookie": cookie, "Sec-Fetch-Site": site}
    return await running.http.post(REFRESH, headers=headers)


def link(running: Running, *, scope: str = LOGIN_LINK, issuer: str = "gateway") -> str:
    minter = TokenMinter.from_file(running.keys / f"{issuer}.pem", issuer)
    return minter.mint("user:admin", {scope}, 600)


async def test_a_session_goes_on_by_its_cookie_and_ends_with_log_out(running: Running) -> None:
    begun = await running.http.post(SESSION, json=VIEWER)
    assert begun.status_code == 200
    assert "refresh_token" not in begun.json()
    refreshed = await go_on(running, cookie_of(begun))
    bearer = {"Authorization": f"Bearer {refreshed.json()['access_token']}"}
    me = await running.http.get("/api/v1/auth/me", headers=bearer)
    assert me.json()["userName"] == "viewer"
    for told in (begun.json()["user"], refreshed.json()["user"]):
        assert told == {name: me.json()[name] for name in told}
        assert told.keys() == {"subject", "userName", "role", "scopes"}
    ended = await running.http.post("/api/v1/auth/logout", headers=bearer)
    assert "Max-Age=0" in ended.headers["set-cookie"]
    gone = await go_on(running, cookie_of(refreshed))
    assert (gone.status_code, reason_of(gone)) == (401, "REFRESH_TOKEN_INVALID")


async def age(running: Running) -> None:
    """All that was used was used a minute ago."""
    pool = running.gateway.dependencies.pool
    await pool.execute("UPDATE gateway.refresh_token SET used_at = used_at - interval '1 min'")


async def test_a_cookie_whose_answer_was_lost_is_good_again_for_seconds(running: Running) -> None:
    """Who reloads a page at once leaves the answer of the first load on the way."""
    begun = cookie_of(await running.http.post(SESSION, json=VIEWER))
    lost = cookie_of(await go_on(running, begun))
    assert cookie_of(await go_on(running, begun)) == lost
    await age(running)
    assert (await go_on(running, lost)).status_code == 200
    await age(running)
    refused = await go_on(running, begun)
    assert (refused.status_code, reason_of(refused)) == (401, "REFRESH_TOKEN_INVALID")


async def test_pages_that_ask_at_once_go_on_with_one_cookie(running: Running) -> None:
    """A browser opens all its pages again at its start; whose answer comes last does not matter."""
    begun = cookie_of(await running.http.post(SESSION, json=VIEWER))
    first = {cookie_of(each) for each in await many(running, begun)}
    assert len(first) == 1
    second = {cookie_of(each) for each in await many(running, *first)}
    assert len(second) == 1
    # one that was slow asks with the first cookie still
    assert cookie_of(await go_on(running, begun)) in second
    await age(running)
    assert (await go_on(running, *second)).status_code == 200


async def many(running: Running, cookie: str) -> list[httpx.Response]:
    return await asyncio.gather(*(go_on(running, cookie) for _ in range(5)))


async def test_a_cookie_that_was_used_long_ago_ends_the_session(running: Running) -> None:
    begun = cookie_of(await running.http.post(SESSION, json=VIEWER))
    second = cookie_of(await go_on(running, begun))
    await age(running)
    assert (await go_on(running, begun)).status_code == 401
    assert (await go_on(running, second)).status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", ""])
async def test_no_other_site_goes_on_with_it(running: Running, site: str) -> None:
    begun = await running.http.post(SESSION, json=VIEWER)
    answer = await go_on(running, cookie_of(begun), site)
    assert (answer.status_code, reason_of(answer)) == (403, "CROSS_SITE")
    assert (await go_on(running, cookie_of(begun))).status_code == 200


async def test_without_a_cookie_there_is_no_session(running: Running) -> None:
    answer = await running.http.post(REFRESH, headers=SAME_ORIGIN)
    assert (answer.status_code, reason_of(answer)) == (401, "SESSION_MISSING")


async def test_a_link_logs_in_once(running: Running) -> None:
    sent = {"link": link(running)}
    answers = await asyncio.gather(*(running.http.post(SESSION, json=sent) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    refused = next(answer for answer in answers if answer.status_code == 401)
    assert reason_of(refused) == "LINK_INVALID"


@pytest.mark.parametrize("fault", ["another scope", "another issuer", "text", "a log-in"])
async def test_nothing_else_is_a_link(running: Running, fault: str) -> None:
    sent = {
        "another scope": link(running, scope="admin"),
        "another issuer": link(running, issuer="ingest"),
        "text": "x",
        "a log-in": running.token(),
    }[fault]
    answer = await running.http.post(SESSION, json={"link": sent})
    assert (answer.status_code, reason_of(answer)) == (401, "LINK_INVALID")


async def test_a_link_proves_nothing_by_itself(running: Running) -> None:
    headers = {"Authorization": f"Bearer {link(running)}"}
    answer = await running.http.get("/api/v1/rules", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("body", [{}, {"userName": "a", "link": "b"}, {"user": "a"}])
async def test_what_is_not_meant_is_refused(running: Running, body: dict[str, str]) -> None:
    assert (await running.http.post(SESSION, json=body)).status_code == 400


async def test_a_wrong_password_sets_no_cookie(running: Running) -> None:
    answer = await running.http.post(SESSION, json=VIEWER | {"password": "wrong"})
    assert (answer.status_code, reason_of(answer)) == (401, "LOGIN_WRONG")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "set-cookie" not in answer.headers
