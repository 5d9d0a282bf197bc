"""Counts, services and changes as pages show them, and what a page costs that stays open."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.console.conftest import View, alert, opened
from tests.product import Door

FIRST_PAGE_BYTES = 25_000
KEPT = 1000


async def changed(door: Door, change_id: str, service: str, text: str) -> None:
    """Reports a deploy of ten minutes ago."""
    time = (datetime.now(UTC) - timedelta(minutes=10)).isoformat().replace("+00:00", "Z")
    body = {
        "changeId": change_id,
        "kind": "CHANGE_KIND_DEPLOY",
        "service": service,
        "text": text,
        "time": time,
    }
    answer = await door.http.post("/api/v1/changes", json=body)
    assert answer.status_code == 200, answer.text


async def test_alerts_are_counted_by_the_same_filter_as_they_are_listed(view: View) -> None:
    starts_at = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    batch = [
        {
            "labels": {"alertname": f"Counted{number}", "severity": word, "service": "counted"},
            "startsAt": starts_at,
            **({"endsAt": datetime.now(UTC).isoformat()} if word == "critical" else {}),
        }
        for number, word in enumerate(("critical", "warning", "warning"))
    ]
    (await view.door.http.post("/api/v1/alerts", json=batch)).raise_for_status()
    await view.go("/alerts?selector={service=%22counted%22}")
    await view.until_seen("main .facts", "2 firing: 2 warning; 1 resolved")
    await view.page.select_option("#state", "resolved")
    await view.page.get_by_role("button", name="Show", exact=True).click()
    await view.until_seen("main .facts", "1 resolved")
    # one more is counted without being asked for
    await view.page.select_option("#state", "firing")
    await view.page.get_by_role("button", name="Show", exact=True).click()
    await view.until_seen("main .facts", "2 firing: 2 warning")
    await view.until_seen(".liveness", "● live")
    await alert(view.door, "Counted3", severity="critical", service="counted")
    await view.until_seen("main .facts", "3 firing: 1 critical, 2 warning")


async def test_services_are_told_with_what_they_have_open(view: View) -> None:
    for number, severity in enumerate(("critical", "info", "info")):
        await alert(view.door, f"Told{number}", severity=severity, service="told")
    await changed(view.door, "told-1", "told", "a new cache")

    async def placed() -> bool | None:
        answer = await view.door.http.get("/api/v1/services", params={"query": "told"})
        assert answer.status_code == 200, answer.text
        found = answer.json().get("services", [])
        counts = found[0].get("firingAlerts", {}) if found else {}
        return True if counts.get("info") == 2 and found[0].get("openIncidents") else None

    await view.until(placed, "a service with three alerts")
    asked: list[str] = []
    view.page.on("request", lambda request: asked.append(request.url))
    await view.go("/services")
    row = view.page.locator("tr", has=view.page.get_by_role("link", name="told", exact=True))
    await row.wait_for()
    text = await row.inner_text()
    assert "◆ critical" in text
    assert "1 critical, 2 info" in text
    assert not [each for each in asked if "/api/v1/alerts" in each]
    await row.get_by_role("link").click()
    await view.until_seen("main p", "Firing alerts: 1 critical, 2 info")
    await view.until_seen("main li", "deploy of told: a new cache")


async def test_changes_are_ticks_of_an_incident(view: View) -> None:
    await changed(view.door, "ticks-1", "ticks", "v2 of ticks")
    await changed(view.door, "ticks-2", "elsewhere", "another")
    await alert(view.door, "Ticks", severity="critical", service="ticks", environment="ticks")

    async def found() -> str | None:
        answer = await view.door.http.get("/api/v1/incidents", params={"query": "ticks"})
        incidents = answer.json().get("incidents", [])
        return str(incidents[0]["incidentId"]) if incidents else None

    await view.go(f"/incidents/{await view.until(found, 'an incident')}")
    await view.until_seen(".marks li", "deploy of ticks: v2 of ticks")
    assert await view.page.locator(".marks li time").count() == 1
    assert "another" not in await view.text(".marks")


async def test_what_the_first_page_needs_before_it_says_anything_is_small(
    browser: Any, door: Door
) -> None:
    """Charts come when the page has said what is wrong."""
    async with opened(browser, door) as view:
        await view.log_in()
        again = await view.page.context.new_page()
        seen: list[Any] = []
        again.on("requestfinished", lambda request: seen.append(request))
        held = asyncio.Event()

        async def incidents(route: Any) -> None:
            await held.wait()
            await route.continue_()

        await again.route("**/api/v1/incidents?*", incidents)
        await again.goto(view.url)

        async def settled() -> bool | None:
            """Everything but the held answer is there."""
            before = len(seen)
            await asyncio.sleep(1)
            is_all = any("/pages/now.js" in each.url for each in seen)
            return True if is_all and len(seen) == before else None

        await view.until(settled, "a page that waits")
        scripts = [each for each in seen if each.url.endswith(".js")]
        sizes = [(await each.sizes())["responseBodySize"] for each in scripts]
        assert 6 < len(scripts) <= 8
        assert 10_000 < sum(sizes) <= FIRST_PAGE_BYTES
        assert not [each.url for each in scripts if "/charts/" in each.url]
        held.set()
        await again.locator("#headline", has_text="open incident").wait_for()


async def test_a_list_that_nobody_touches_stays_bounded(view: View) -> None:
    """Rows that come for hours: a screenful in the document, a thousand in memory."""
    options = """{
        name: "Long", columns: ["Name"], keyOf: each => each.id, cells: each => [each.id],
        renew: () => { window.renewed++; list.set([{id: "renewed"}]); },
    }"""
    call = f"""{{
        window.renewed = 0;
        const list = m.rows({options});
        document.querySelector("main").replaceChildren(list.element);
        list.set([{{id: "first"}}]);
        const counts = [];
        const come = (count, name) => {{
            for (let number = 0; number < count; number++) list.update({{id: name + number}});
            counts.push([
                list.items().length, window.renewed,
                document.querySelectorAll(".rows [role=row]").length,
                document.querySelector(".news").hidden ? "" :
                    document.querySelector(".news").textContent,
            ]);
        }};
        come(5000, "attended");
        list.drop("first");
        document.querySelector(".news").click();
        const now = Date.now;
        Date.now = () => now() + 61000;
        come(5000, "alone");
        Date.now = now;
        return counts;
    }}"""
    attended, alone = await view.module("rows.js", f"(() => {call})()")
    assert attended == [1, 0, 2, "more than 200 new"]
    items, renewed, shown, waits = alone
    assert items <= KEPT
    assert renewed >= 5
    assert shown <= 60
    assert waits == ""


@pytest.mark.parametrize("path", ["/", "/alerts", "/incidents/{}"])
async def test_what_is_read_ahead_is_what_the_page_reads_first(view: View, path: str) -> None:
    await alert(view.door, "Ahead", severity="critical", service="ahead")

    async def an_incident() -> str | None:
        answer = await view.door.http.get("/api/v1/incidents", params={"query": "ahead"})
        return next((each["incidentId"] for each in answer.json().get("incidents", [])), None)

    path = path.format(await view.until(an_incident, "an incident"))
    asked: list[str] = []
    view.page.on("request", lambda request: asked.append(request.url.removeprefix(view.url)))
    await view.go(path)
    assert await view.page.evaluate(f"FIRST_READS.some(([each]) => each.test('{path}'))")
    assert await view.page.evaluate("ahead.session") is None, "nobody took the session"
    assert await view.page.evaluate("[...ahead.reads.keys()]") == [], "nobody took these"
    reads = [each for each in asked if each.startswith("/api/")]
    assert "session:refresh" in reads[0], reads
    assert sum("session:refresh" in each for each in reads) == 1, reads


LIST = """(() => {
  const list = m.rows({
    name: "Numbers", columns: ["Number"], keyOf: each => String(each), cells: each => [each],
  });
  document.getElementById("main").replaceChildren(list.element);
  list.set(Array.from({length: 500}, (_, index) => index));
  const seen = list.element.querySelector(".rows").getBoundingClientRect();
  const last = document.elementFromPoint(seen.left + 40, seen.bottom - 10);
  return [Boolean(last?.closest(".row")), document.querySelectorAll(".row").length];
})()"""


@pytest.mark.parametrize(("width", "height"), [(320, 500), (1280, 900), (2160, 3840)])
async def test_rows_fill_a_list_on_every_screen(
    browser: Any, door: Door, width: int, height: int
) -> None:
    """However high it is: none is missing at the end, and few are in the document."""
    async with opened(browser, door) as view:
        await view.log_in()
        await view.page.set_viewport_size({"width": width, "height": height})
        is_filled, rows = await view.module("rows.js", LIST)
        assert is_filled
        assert rows <= 60
