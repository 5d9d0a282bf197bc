"""An incident from its first alert to its postmortem, on the page and by the keyboard."""

import asyncio
import itertools
from typing import Any

import pytest

from cli.product.tokens import login_link
from tests.console.conftest import View, alert, opened
from tests.product import Door

_shops = itertools.count()


@pytest.fixture
async def incident(door: Door, view: View) -> str:
    """The id of an incident of this test: its page is shown."""
    shop = f"shop{next(_shops)}"
    await alert(door, "Down", severity="critical", service=shop, environment=shop)

    async def found() -> str | None:
        answer = await door.http.get("/api/v1/incidents", params={"query": shop})
        incidents = answer.json().get("incidents", [])
        return str(incidents[0]["incidentId"]) if incidents else None

    incident_id = await view.until(found, "an incident")
    await view.go(f"/incidents/{incident_id}")
    await view.until_seen(".timeline li", "opened")
    return incident_id


async def stored(door: Door, incident_id: str) -> dict[str, Any]:
    answer = await door.http.get(f"/api/v1/incidents/{incident_id}")
    body: dict[str, Any] = answer.json()["incident"]
    return body


async def test_a_night_by_keyboard(view: View, door: Door, incident: str) -> None:
    """Find it, acknowledge, mute, take a note, resolve, write down what was learnt."""
    page = view.page
    await page.keyboard.press("g")
    await page.keyboard.press("n")
    await view.until_seen("#headline", "open incident")  # the members before it are rows, too
    await view.until_seen(".row", "shop")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await view.until_seen("main h2", "Timeline")
    await view.go(f"/incidents/{incident}")
    await view.until_seen("[data-key=acknowledge]", "Acknowledge")
    await page.keyboard.press("a")
    await view.until_seen(".facts", "acknowledged")
    await view.until_seen(".facts", "admin is on it")
    await page.keyboard.press("m")
    await view.until_seen(".facts", "muted")
    await page.focus("#note")
    await page.keyboard.type("the disk is full")
    await page.keyboard.press("Enter")
    await view.until_seen(".timeline li", "the disk is full")
    await page.focus("[data-key=resolve]")
    await page.keyboard.press("Enter")
    await view.until_seen(".facts", "resolved")
    assert (await stored(door, incident))["state"] == "INCIDENT_STATE_RESOLVED"
    await page.reload()
    await view.until_seen("main h2", "Postmortem")
    assert "the disk is full" in await page.input_value("textarea")


async def test_two_people_acknowledge_at_once(
    browser: Any, view: View, door: Door, incident: str
) -> None:
    """Both pages end with the owner that is stored, whoever was faster."""
    person = {"userName": "second", "password": "a long enough password", "role": "operator"}
    assert (await door.http.post("/api/v1/users", json=person)).status_code == 201
    async with opened(browser, door) as other:
        link = login_link(door.product.directory, other.url, "second")
        await other.page.goto(link)
        await other.page.wait_for_selector("nav")
        await other.go(f"/incidents/{incident}")
        await other.until_seen("[data-key=acknowledge]", "Acknowledge")
        await view.until_seen("[data-key=acknowledge]", "Acknowledge")
        await asyncio.gather(
            view.page.locator("[data-key=acknowledge]").click(),
            other.page.locator("[data-key=acknowledge]").click(),
        )

        async def agreed() -> bool | None:
            owner = (await stored(door, incident))["owner"].removeprefix("user:")
            shown = [await each.text(".facts") for each in (view, other)]
            return True if owner and all(f"{owner} is on it" in text for text in shown) else None

        await view.until(agreed, "one owner on both pages")


async def test_what_others_do_is_seen_and_moves_nothing(
    view: View, door: Door, incident: str
) -> None:
    await view.until_seen(".liveness", "● live")
    first = await view.page.locator(".timeline li").first.get_attribute("data-key")
    note = {"text": "somebody else looks", "requestId": "5d5e0e3e-8f0a-4f4e-9f2f-2b0a3f0c1d11"}
    answer = await door.http.post(f"/api/v1/incidents/{incident}/notes", json=note)
    assert answer.status_code == 200, answer.text
    await view.until_seen(".news", "new")
    assert await view.page.locator(".timeline li").first.get_attribute("data-key") == first
    await view.page.locator("section .news").first.click()
    await view.until_seen(".timeline li", "somebody else looks")


async def test_a_button_stays_while_more_becomes_known(
    view: View, door: Door, incident: str
) -> None:
    """One that is replaced between the press and the release takes no click."""
    await view.until_seen(".liveness", "● live")
    button = await view.page.wait_for_selector("[data-key=acknowledge]")
    name = {"title": "renamed", "updateMask": "title"}

    async def renamed() -> bool | None:
        # 409 where its cause was written meanwhile
        etag = (await stored(door, incident))["etag"]
        body = {**name, "etag": etag}
        answer = await door.http.patch(f"/api/v1/incidents/{incident}", json=body)
        return answer.status_code == 200 or None

    await view.until(renamed, "another title")
    await view.until_seen("main h1", "renamed")
    assert await button.is_visible()
    await button.click()
    await view.until_seen(".facts", "is on it")


async def test_what_is_over_leaves_the_first_page(view: View, door: Door, incident: str) -> None:
    await view.go("/")
    row = view.page.locator(f"[data-key='{incident}']")
    await row.wait_for()
    answer = await door.http.post(f"/api/v1/incidents/{incident}:resolve", json={"reason": "fixed"})
    assert answer.status_code == 200, answer.text
    await row.wait_for(state="detached")
