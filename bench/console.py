"""How soon the console shows something, on a machine four times slower behind 40 ms and 10 Mbit/s.

1. Largest contentful paint and layout shift of the first page and of 10,000 alerts, cold.
2. From a key to the next paint in that list.
3. From an alert that is posted to the pixel that says so, without the slow network, four a second.
4. With --heap-minutes: how the heap of an open page grows at --events-per-s, four if not said.

    make bench-console      or   python -m bench.console [--rounds 5]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright
from rich.console import Console

from bench.product import until_idle
from cli.product.tokens import login_link, user_token
from tests.console.conftest import CHROMIUM
from tests.product import UNLIMITED, Door, started, webhook

ALERTS = 10_000
RULES = 200
"""Names of the alerts: as many rules as a large installation has."""
SLOWER = 4
PER_S = 4.0
"""Alerts a second while they are watched."""
PAINTED_S = 4.0
"""Then everything of a page is painted."""
NETWORK = {
    "offline": False,
    "latency": 40,
    "downloadThroughput": 10e6 / 8,
    "uploadThroughput": 10e6 / 8,
}
PAINTS = """() => new Promise(done => {
  let lcp = 0, cls = 0;
  const observe = (type, take) =>
    new PerformanceObserver(list => list.getEntries().forEach(take))
      .observe({type, buffered: true});
  observe("largest-contentful-paint", entry => { lcp = entry.startTime; });
  observe("layout-shift", entry => { if (!entry.hadRecentInput) cls += entry.value; });
  setTimeout(() => done([lcp, cls]), 500);
})"""
KEY = """() => new Promise(done => {
  const start = performance.now();
  document.dispatchEvent(new KeyboardEvent("keydown", {key: "j", bubbles: true}));
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
})"""

console = Console(width=110)


async def main() -> None:
    """Measures and prints all three."""
    parser = argparse.ArgumentParser(description="How soon the console shows something.")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement")
    parser.add_argument("--heap-minutes", type=float, default=0, help="watch the heap so long")
    parser.add_argument("--events-per-s", type=float, default=4, help="while the heap is watched")
    parser.add_argument("--only-heap", action="store_true", help="leave out all else")
    options = parser.parse_args()
    rounds = options.rounds
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        settings = {**UNLIMITED, "SENSUS_RATE_LOGIN": "100000"}
        async with started(Path(directory) / "data", settings=settings) as door:
            if not options.only_heap:
                await _fill(door)
            async with async_playwright() as api:
                browser = await api.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                if not options.only_heap:
                    for path in ("/", "/alerts"):
                        await _paints(browser, door, path, rounds)
                    await _arrival(browser, door, rounds)
                if options.heap_minutes:
                    await _heap(browser, door, options.heap_minutes, options.events_per_s)
                await browser.close()


async def _fill(door: Door) -> None:
    for start in range(0, ALERTS, 1000):
        batch = [
            {
                "labels": {
                    "alertname": f"A{number % RULES}",
                    "severity": "info",
                    "service": f"s{number % 40}",
                    "instance": f"i{number}",
                }
            }
            for number in range(start, start + 1000)
        ]
        (await door.http.post("/api/v1/alerts", json=batch)).raise_for_status()
    await until_idle(door.product)


async def _paints(browser: Any, door: Door, path: str, rounds: int) -> None:
    """A window of its own each time, so that nothing is kept; its session is."""
    found, keys = [], []
    for _ in range(rounds):
        page = await _window(browser, door)
        slow = await page.context.new_cdp_session(page)
        await slow.send("Network.enable")
        await slow.send("Network.clearBrowserCache")
        await slow.send("Network.emulateNetworkConditions", NETWORK)
        await slow.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        await page.goto(f"{door.product.run.gateway_url}{path}", wait_until="commit")
        # waiting for an element would run scripts of Playwright's in the page: a hundred ms of it
        await asyncio.sleep(PAINTED_S)
        found.append(await page.evaluate(PAINTS))
        if path == "/alerts":
            keys += [await page.evaluate(KEY) for _ in range(10)]
        await page.context.close()
    lcp, cls = (statistics.median(column) for column in zip(*found, strict=True))
    console.print(f"{path}: LCP {lcp:.0f} ms, CLS {cls:.3f} (medians of {rounds})")
    if keys:
        console.print(f"{path}: key to paint {max(keys):.0f} ms at most of {len(keys)}")


async def _arrival(browser: Any, door: Door, rounds: int) -> None:
    page = await _window(browser, door)
    await page.goto(f"{door.product.run.gateway_url}/alerts")
    await page.locator(".liveness", has_text="live").wait_for()
    spent_ms = []
    first_s = time.monotonic()
    for number in range(rounds * 20):
        await asyncio.sleep(max(0.0, first_s + number / PER_S - time.monotonic()))
        name, now = f"Arrival{number}", datetime.now(UTC).isoformat()
        began_s = time.monotonic()
        notice = webhook(name, starts_at=now, severity="critical", service="arrival")
        (await door.http.post("/api/v1/alerts", json=notice)).raise_for_status()
        await page.locator(".news", has_text=f"{number + 1} new").wait_for()
        spent_ms.append((time.monotonic() - began_s) * 1000)
    spent_ms.sort()
    p95 = spent_ms[int(len(spent_ms) * 0.95)]
    console.print(f"alert to pixel: p50 {statistics.median(spent_ms):.0f} ms, p95 {p95:.0f} ms")


async def _heap(browser: Any, door: Door, minutes: float, per_s: float) -> None:
    """What is left after collecting, on the page of alerts, of which 200 come and go."""
    page = await _window(browser, door)
    await page.goto(f"{door.product.run.gateway_url}/alerts")
    await page.locator(".liveness", has_text="live").wait_for()
    tools = await page.context.new_cdp_session(page)
    await tools.send("HeapProfiler.enable")
    events, kept = round(minutes * 60 * per_s), []
    began_s = time.monotonic()
    for number in range(events):
        if number % 1000 == 0:
            # the token that the product was started with ends sooner than an hour
            token = user_token(door.product.directory)
            door.http.headers["Authorization"] = f"Bearer {token}"
        status = "resolved" if (number // 200) % 2 else "firing"
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        labels = {"severity": "info", "service": f"heap{number % 200}"}
        notice = webhook("Heap", status=status, starts_at=now, **labels)
        (await door.http.post("/api/v1/alerts", json=notice)).raise_for_status()
        await asyncio.sleep(began_s + (number + 1) / per_s - time.monotonic())
        if number % max(1, events // 6) == events // 12:
            await tools.send("HeapProfiler.collectGarbage")
            used = (await tools.send("Runtime.getHeapUsage"))["usedSize"]
            kept.append(used / 1e6)
            console.print(f"  after {number + 1:,} events {kept[-1]:.1f} MB")
    shown = ", ".join(f"{each:.1f}" for each in kept)
    console.print(f"heap over {minutes:g} minutes at {per_s:g}/s: {shown} MB")


async def _window(browser: Any, door: Door) -> Any:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    page = await context.new_page()
    await page.goto(login_link(door.product.directory, door.product.run.gateway_url))
    await page.wait_for_selector("nav")
    return page


if __name__ == "__main__":
    asyncio.run(main())
