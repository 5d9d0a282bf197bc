"""Every page is fit for those who cannot see it, or see it small: WCAG 2.2 AA as axe finds it."""

from typing import Any

import pytest

from tests.console.axe import PAGES, findings
from tests.console.conftest import View, opened
from tests.product import Door


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_axe_finds_nothing_on_any_page(browser: Any, door: Door, theme: str) -> None:
    async with opened(browser, door, color_scheme=theme, bypass_csp=True) as view:
        await view.page.goto(f"{view.url}/login")
        await view.shown()
        assert await findings(view) == []
        await view.log_in()
        for path in PAGES:
            await view.go(path)
            await view.page.wait_for_load_state("load")
            assert await findings(view) == [], path
        for path in await pages_of_one(view):
            await view.go(path)
            await view.page.wait_for_load_state("load")
            assert await findings(view) == [], path


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_axe_finds_nothing_where_nothing_can_be_shown(
    browser: Any, door: Door, theme: str
) -> None:
    """Pages whose data is away, one that is not there, and the dialog of a session that is over."""
    async with opened(browser, door, color_scheme=theme, bypass_csp=True) as view:
        await view.log_in()
        await view.go("/alerts/nothing")
        await view.until_seen("main h1", "cannot be shown")
        assert await findings(view) == []
        await view.page.route("**/api/v1/{incidents,alerts,series}?*", away)
        for path in ("/", "/alerts", "/services", "/explore"):
            await view.go(path)
            await view.until_seen("[role=alert], .fault", "out of order")
            assert await findings(view) == [], path


async def away(route: Any) -> None:
    """What the gateway says when a service does not answer."""
    await route.fulfill(status=503, json={"error": {"message": "ingest is out of order"}})


async def pages_of_one(view: View) -> list[str]:
    """The page of an incident, an alert, an explanation and an anomaly."""

    async def found() -> list[str] | None:
        paths = []
        for path, plural, name in (
            ("/incidents", "incidents", "incidentId"),
            ("/alerts", "alerts", "alertId"),
            ("/explanations", "explanations", "explanationId"),
            ("/anomalies", "anomalies", "anomalyId"),
        ):
            answer = await view.door.http.get(f"/api/v1{path}", params={"page_size": 1})
            paths += [f"{path}/{each[name]}" for each in answer.json().get(plural, [])]
        return paths if len(paths) == 4 else None

    over = {"metric_name": "cpu_usage", "metric_value": 99.0, "labels": {"host": "axe"}}
    rule = {"name": "axe", "selector": "cpu_usage", "comparison": "RULE_COMPARISON_ABOVE"}
    await view.door.http.post("/api/v1/rules", json={"rule": {**rule, "critical": 50.0}})
    await view.door.http.post("/api/v1/metrics", json=over)
    return await view.until(found, "one of each")


@pytest.mark.parametrize("size", [(320, 640), (640, 450)])
async def test_nothing_needs_scrolling_sideways(
    browser: Any, door: Door, size: tuple[int, int]
) -> None:
    """320 px wide, and 200 % of 1280."""
    viewport = {"width": size[0], "height": size[1]}
    async with opened(browser, door, viewport=viewport) as view:
        await view.log_in()
        for path in PAGES:
            await view.go(path)
            wide = await view.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= size[0], path


async def test_forced_colours_and_reduced_motion_are_followed(browser: Any, door: Door) -> None:
    async with opened(browser, door, forced_colors="active", reduced_motion="reduce") as view:
        await view.log_in("/alerts")
        await view.until_seen(".row", "Checkout0")
        moving = await view.page.evaluate(
            "[...document.querySelectorAll('*')].filter("
            "e => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"
        )
        assert moving == 0


async def test_severity_is_a_word_and_a_shape(view: View) -> None:
    await view.go("/alerts")
    await view.until_seen(".row", "Checkout0")
    shown = await view.page.locator(".row .severity").all_inner_texts()
    assert {"◆ critical", "▲ warning", "● info"} <= {text.strip() for text in shown}
