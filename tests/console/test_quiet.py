"""A fresh installation: what it says before anything was sent, and what it shows of its machine."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.console.axe import PAGES, findings
from tests.console.conftest import CHROMIUM, opened
from tests.product import UNLIMITED, Door, started

MACHINE = {
    "node_cpu_utilization_ratio": 0.25,
    "node_memory_utilization_ratio": 0.5,
    "node_load1": 1.5,
    "node_filesystem_utilization_ratio": 0.75,
}

SHOWN = {"CPU": "25 %", "Memory": "50 %", "Load": "1.5", "Disk": "75 %"}


@pytest.fixture(scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A product that nobody has sent anything to."""
    if not CHROMIUM:
        pytest.skip("no chromium here: install it, or name it in SENSUS_CHROMIUM")
    settings = {**UNLIMITED, "SENSUS_RATE_LOGIN": "100000"}
    async with started(tmp_path_factory.mktemp("quiet") / "data", settings=settings) as door:
        yield door


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_axe_finds_nothing_on_empty_pages(browser: Any, door: Door, theme: str) -> None:
    async with opened(browser, door, color_scheme=theme, bypass_csp=True) as view:
        await view.log_in()
        for path in (each for each in PAGES if each != "/services/checkout"):
            await view.go(path)
            assert await findings(view) == [], path


async def test_an_empty_page_says_how_to_send_the_first_sample(browser: Any, door: Door) -> None:
    async with opened(browser, door) as view:
        await view.log_in()
        await view.until_seen("main h1", "Nothing is wrong")
        assert "Send the first one" in await view.text(".quiet")
        assert f"{view.url}/api/v1/metrics" in await view.text(".quiet code")
        assert not await view.page.locator(".row.head").is_visible()


async def test_a_machine_that_sends_is_seen_where_nothing_is_wrong(
    browser: Any, door: Door
) -> None:
    """On the first page and on Explore, in words and units of people, until somebody asks."""
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    ages = range(8, 0, -1)
    sent = {
        name: [(now_ms - 15_000 * age, value) for age in ages] for name, value in MACHINE.items()
    }
    await door.write("machine", sent)
    async with opened(browser, door) as view:
        await view.log_in()
        for path in ("/", "/explore"):
            await view.go(path)
            for title, value in SHOWN.items():
                chart = view.page.locator("figure", has_text=title)
                await chart.wait_for(timeout=60_000)
                assert value in await chart.inner_text()
        await view.page.fill("#selector", "node_load1")
        await view.page.keyboard.press("Enter")
        await view.until_seen("main", "1 series of node_load1")

        async def is_alone() -> bool | None:
            return await view.page.locator("figure").count() == 1 or None

        await view.until(is_alone, "one chart alone")


async def test_figures_have_the_unit_that_the_name_of_their_metric_ends_with(
    browser: Any, door: Door
) -> None:
    async with opened(browser, door, locale="en-GB") as view:
        await view.log_in()
        for name, value, shown in (
            ("node_cpu_utilization_ratio", 0.9916, "99.2 %"),
            ("cpu_percent", 42, "42 %"),
            ("http_request_duration_seconds", 0.3171, "317 ms"),
            ("http_request_duration_seconds", 0.0000123, "12.3 µs"),
            ("node_boot_time_seconds", 1_796_052_019, "1,796,052,019"),
            ("heap_bytes", 1_536_000_000, "1.54 GB"),
            ("heap_bytes", 0, "0 B"),
            ("queue_depth", 1234.5, "1,235"),
        ):
            found = await view.module("format.js", f"m.figureOf({json.dumps(name)})({value})")
            assert found == shown, name


async def test_times_of_texts_are_those_of_the_readers_clock(browser: Any, door: Door) -> None:
    """Services write UTC; the day is the one that is nearest where the text tells none."""
    near = "Date.parse('2026-11-30T00:10:00Z')"
    async with opened(browser, door, timezone_id="Asia/Tokyo", locale="en-GB") as view:
        await view.log_in()
        for written, instant, clock in (
            ("23:59:12 UTC", "2026-11-29T23:59:12.000Z", "08:59:12"),
            ("00:01:02 UTC", "2026-11-30T00:01:02.000Z", "09:01:02"),
            ("2026-11-28 15:00:00 UTC", "2026-11-28T15:00:00.000Z", "00:00:00"),
        ):
            text = f"rose since {written}, then fell"
            parts = "map(e => e.dateTime ? [e.dateTime, e.textContent] : e)"
            call = f"m.localTimes({json.dumps(text)}, {near}).{parts}"
            before, (time, said), after = await view.module("format.js", call)
            assert (before, time, after) == ("rose since ", instant, ", then fell")
            assert said.endswith(clock)
        whole = await view.module("format.js", f"m.localTimes('nothing at 99:99:99 UTC', {near})")
        assert "".join(whole) == "nothing at 99:99:99 UTC"


async def test_samples_before_the_first_known_range_stay_in_the_chart(
    browser: Any, door: Door
) -> None:
    async with opened(browser, door) as view:
        await view.log_in()
        points = "{times: [1, 2, 3, 4], values: [5, 6, 7, 8]}"
        found = "{times: [3, 4], values: [7, 8], low: [6, 7], high: [8, 9]}"
        ranged = await view.module("charts/series.js", f"m.ranged({points}, {found})")
        assert ranged["times"] == [1, 2, 3, 4]
        assert ranged["values"] == [5, 6, 7, 8]
        assert ranged["low"][2:] == [6, 7]
        assert ranged["low"][0] != ranged["low"][0]  # not a number: it is not known


async def test_a_row_on_a_phone_says_what_its_figures_are(browser: Any, door: Door) -> None:
    async with opened(browser, door, viewport={"width": 360, "height": 740}) as view:
        await view.log_in("/rules")
        cell = view.page.locator("td[data-label='Warning']").first
        said = await cell.evaluate("e => getComputedStyle(e, '::before').content")
        assert said == '"Warning: "'
