"""What is shown stays true while things change: order, members, a thousand incidents, restarts."""

import asyncio
import json
from typing import Any

import pytest

from services.gateway.transcoding.merging import MergedFrame
from tests.console.conftest import View, alert, killed
from tests.product import Door

PROCESSES = ("gateway", "ingest", "detector", "explainer", "incidents", "notifier")
MANY = 1000
STATES = ["INCIDENT_STATE_OPEN", "INCIDENT_STATE_ACKNOWLEDGED", "INCIDENT_STATE_SETTLING"]


async def found(door: Door, words: str) -> list[dict[str, Any]]:
    answer = await door.http.get("/api/v1/incidents", params={"query": words})
    assert answer.status_code == 200, answer.text
    return list(answer.json().get("incidents", []))


async def incident_of(view: View, words: str) -> str:
    """The id of the incident about these words, once it is there."""

    async def look() -> str | None:
        incidents = await found(view.door, words)
        return str(incidents[0]["incidentId"]) if incidents else None

    return await view.until(look, f"an incident about {words}")


async def open_apart(view: View, severity: str, *names: str) -> list[str]:
    """An incident for each name."""
    for name in names:
        await alert(view.door, "Apart", severity=severity, service=name, environment=name)
    return [await incident_of(view, name) for name in names]


async def keys_of(view: View) -> list[str]:
    rows = await view.page.locator(".rows-body .row").all()
    return [str(await row.get_attribute("data-key")) for row in rows]


async def test_a_row_that_gets_worse_stays_until_it_is_asked_for_in_order(view: View) -> None:
    older, newer = await open_apart(view, "warning", "order-a", "order-b")
    await view.go("/")
    await view.page.locator(f"[data-key='{older}']").wait_for()
    await view.until_seen(".liveness", "● live")
    before = await keys_of(view)
    assert before.index(newer) < before.index(older)
    await alert(view.door, "Apart", severity="critical", service="order-a", environment="order-a")
    await view.until_seen(f"[data-key='{older}']", "critical")
    await view.until_seen(".news", "order changed")
    after = await keys_of(view)
    assert [each for each in after if each in before] == before
    await view.page.locator(".news").first.click()
    sorted_now = await keys_of(view)
    assert sorted_now.index(older) < sorted_now.index(newer)


async def test_members_that_join_are_shown_without_loading_again(view: View) -> None:
    (incident,) = await open_apart(view, "critical", "joined")
    await view.go(f"/incidents/{incident}")
    await view.until_seen("[aria-label=Members] .row", "Apart")
    await view.until_seen(".liveness", "● live")
    others = await open_apart(view, "critical", "joins-a", "joins-b")
    answer = await view.door.http.post(
        f"/api/v1/incidents/{incident}:merge", json={"incidentIds": others}
    )
    assert answer.status_code == 200, answer.text
    news = view.page.locator(".list", has=view.page.locator("[aria-label=Members]"))

    async def all_there() -> bool | None:
        if await news.locator(".news").is_visible():
            await news.locator(".news").click()
        texts = await view.page.locator("[aria-label=Members] .row").all_inner_texts()
        return all(any(name in text for text in texts) for name in ("joins-a", "joins-b")) or None

    await view.until(all_there, "all members")


async def test_logs_that_went_back_are_read_anew(view: View) -> None:
    """The place of the page is ahead of a log that was restored: it reads again, then follows."""
    await view.go("/alerts")
    await view.until_seen(".liveness", "● live")
    ahead = MergedFrame(topic="", cursors={"alerts": 2**62}).place
    refused: list[int] = []

    async def restored(route: Any) -> None:
        headers = route.request.headers
        if "last-event-id" in headers:
            refused.append(1)
            headers = {**headers, "last-event-id": ahead}
        await route.continue_(headers=headers)

    await alert(view.door, "RestoredFirst", severity="info", service="restored")
    await view.until_seen(".news", "new")
    await view.page.route("**/api/v1/events", restored)
    await killed(view, "gateway")
    # the page is shown anew: what waited behind a button is among the rows
    await view.until_seen(".row", "RestoredFirst")
    await view.until_seen(".liveness", "● live")
    assert refused
    await alert(view.door, "RestoredThen", severity="info", service="restored")
    await view.until_seen(".news", "1 new")


PLACE = MergedFrame(topic="incidents", cursors={"incidents": 0}).place
OF_INCIDENTS = {"topic": "incidents", "event": "watching", "id": PLACE, "frame": {}}


@pytest.mark.parametrize(
    "told",
    [
        ": nothing\n\n",
        f"event: watching\nid: {PLACE}\ndata: {json.dumps(OF_INCIDENTS)}\n\n",
    ],
    ids=["nothing", "another topic"],
)
async def test_a_stream_that_is_cut_before_it_told_its_place_is_made_up_for(
    view: View, told: str
) -> None:
    """What came between is read with the page, which is shown anew."""
    cuts: list[int] = []
    name = f"Between{len(told)}"

    async def cut(route: Any) -> None:
        if cuts:
            await route.continue_()
            return
        cuts.append(1)
        await view.until_seen(".row", "Checkout0")
        await alert(view.door, name, severity="info", service="between")
        await route.fulfill(status=200, content_type="text/event-stream", body=told)

    await view.page.route("**/api/v1/events", cut)
    await view.go("/alerts")
    await view.until_seen(".row", name)
    assert cuts
    await view.until_seen(".liveness", "● live")


@pytest.mark.parametrize(
    ("path", "row"), [("/", "[aria-label='Open incidents'] .row"), ("/alerts", ".row")]
)
async def test_what_comes_before_anything_is_watched_is_read_once_more(
    view: View, path: str, row: str
) -> None:
    held: list[str] = []

    async def hold(route: Any) -> None:
        if not held:
            held.append(path)
            await view.page.locator(row).nth(1).wait_for()
            name = f"Unwatched{len(path)}"
            await alert(view.door, name, severity="critical", service=name, environment=name)
            await incident_of(view, name)
        await route.continue_()

    await open_apart(view, "critical", "before-a", "before-b")
    await view.page.route("**/api/v1/events", hold)
    await view.go(path)
    await view.until_seen(".news", "1 new")
    assert held


@pytest.mark.parametrize("victim", PROCESSES)
async def test_a_view_survives_the_death_of(view: View, victim: str) -> None:
    """Kill -9: the page stays, says what is away, and goes on without being touched."""
    await view.go("/alerts")
    await view.until_seen(".liveness", "● live")
    name = f"Through{victim}"
    await killed(view, victim)

    async def sent() -> bool | None:
        labels = {"alertname": name, "severity": "info", "service": "through"}
        answer = await view.door.http.post("/api/v1/alerts", json=[{"labels": labels}])
        return True if answer.status_code == 200 else None

    await view.until(sent, "an alert that is taken")
    await view.until_seen(".liveness", "● live")

    async def shown() -> bool | None:
        if await view.page.locator(".news").is_visible():
            await view.page.locator(".news").click()
        texts = await view.page.locator(".row").all_inner_texts()
        return sum(name in text for text in texts) == 1 or None

    await view.until(shown, "the alert, once")


async def test_a_thousand_incidents_are_counted_and_a_screenful_is_in_the_document(
    view: View,
) -> None:
    batch = [
        {"labels": {"alertname": "Crowd", "severity": "warning", "environment": f"crowd{n}"}}
        for n in range(MANY)
    ]

    async def open_by_now() -> int:
        count, token = 0, ""
        while True:
            asked = {"page_size": 1000, "states": STATES, "page_token": token}
            page = (await view.door.http.get("/api/v1/incidents", params=asked)).json()
            count += len(page.get("incidents", []))
            token = page.get("nextPageToken", "")
            if not token:
                return count

    answer = await view.door.http.post("/api/v1/alerts", json=batch)
    assert answer.status_code == 200, answer.text

    async def all_open() -> int | None:
        count = await open_by_now()
        await asyncio.sleep(1)
        return count if MANY <= count == await open_by_now() else None

    count = await view.until(all_open, "a thousand open incidents")
    await view.go("/")
    await view.until_seen("#headline", f"{count:,} open incidents")
    assert await view.page.get_attribute(".rows", "aria-rowcount") == str(count + 1)
    await view.page.evaluate("document.querySelector('.rows').scrollTop = 1e7")
    await view.page.locator(f".row[aria-rowindex='{count + 1}']").wait_for()
    assert await view.page.locator(".rows [role=row]").count() <= 60
