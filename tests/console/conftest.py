"""The console in a real browser, before the started product. `make test-console` runs it."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from cli.product.tokens import login_link
from tests.product import UNLIMITED, Door, eventually, started, webhook

CHROMIUM = os.environ.get("SENSUS_CHROMIUM") or shutil.which("chromium") or ""

T = TypeVar("T")


@dataclass(slots=True)
class View:
    """A page of the console, and what went wrong in it."""

    page: Any
    door: Door
    faults: list[str]

    @property
    def url(self) -> str:
        """The address of the console."""
        return self.door.product.run.gateway_url

    async def log_in(self, path: str = "/") -> None:
        """Follows a link that logs in, then goes to a page."""
        await self.page.goto(login_link(self.door.product.directory, self.url))
        await self.page.wait_for_selector("nav")
        if path != "/":
            await self.go(path)

    async def go(self, path: str) -> None:
        """Shows a page of the console."""
        await self.page.goto(f"{self.url}{path}")
        await self.shown()

    async def shown(self) -> None:
        """Waits until a page has its heading and nothing is loading."""
        await self.page.wait_for_selector("main h1")
        await self.page.wait_for_load_state("load")

    async def text(self, selector: str) -> str:
        """The text of the first element that fits."""
        return str(await self.page.locator(selector).first.inner_text())

    async def module(self, name: str, call: str) -> Any:
        """What a module of the console, `m` in the call, answers to a call."""
        source = await self.page.get_attribute("script[src$='main.js']", "src")
        path = json.dumps(source.replace("main.js", name))
        return await self.page.evaluate(f"import({path}).then(m => {call})")

    async def until(self, question: Callable[[], Awaitable[T | None]], what: str) -> T:
        """Asks until there is an answer; scripts that wait are forbidden by the page's policy."""
        return await eventually(question, within_s=60, what=what)

    async def until_seen(self, selector: str, text: str) -> None:
        """Waits until an element with this text is there."""
        await self.page.locator(selector, has_text=text).first.wait_for(timeout=60_000)


@pytest.fixture(scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A product for a file of tests, with some alerts and series.

    One for all would show the thousand incidents of one file to the next.
    """
    if not CHROMIUM:
        pytest.skip("no chromium here: install it, or name it in SENSUS_CHROMIUM")
    settings = {**UNLIMITED, "SENSUS_RATE_LOGIN": "100000"}
    async with started(tmp_path_factory.mktemp("console") / "data", settings=settings) as door:
        await _fill(door)
        yield door


async def _fill(door: Door) -> None:
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    rows = [(now_ms - 15_000 * age, 40.0 + age % 7) for age in range(200, 0, -1)]
    await door.write("console", {"checkout_latency_ms": rows, "checkout_errors": rows})
    for number, severity in enumerate(("critical", "warning", "info")):
        await alert(door, f"Checkout{number}", severity=severity, service="checkout")


async def alert(door: Door, name: str, *, status: str = "firing", **labels: str) -> None:
    """Posts one alert as Alertmanager does."""
    starts_at = (datetime.now(UTC) - timedelta(minutes=2)).isoformat().replace("+00:00", "Z")
    answer = await door.http.post(
        "/api/v1/alerts", json=webhook(name, status=status, starts_at=starts_at, **labels)
    )
    assert answer.status_code == 200, answer.text


async def killed(view: View, victim: str) -> None:
    """Ends a process of the product with kill -9, until its successor serves."""
    before = view.door.process_id(victim)
    os.kill(before, signal.SIGKILL)

    async def back() -> bool | None:
        if view.door.process_id(victim) == before:
            return None
        health = await view.door.http.get("/health")
        return True if health.status_code == 200 else None

    await view.until(back, f"{victim} after kill -9")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Any]:
    """Chromium, without a window."""
    api_of = pytest.importorskip("playwright.async_api", reason="`make browser` installs it")
    async with api_of.async_playwright() as api:
        found = await api.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        await found.close()


@asynccontextmanager
async def opened(browser: Any, door: Door, **options: Any) -> AsyncIterator[View]:
    """A window of its own; it fails when a script failed or another origin was asked."""
    context = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(60_000)
    page = await context.new_page()
    view = View(page, door, [])
    page.on("pageerror", lambda error: view.faults.append(str(error)))
    page.on("console", lambda entry: _note(view, entry))
    page.on("request", lambda request: _check_origin(view, request.url))
    try:
        yield view
        assert view.faults == []
    finally:
        await asyncio.wait_for(context.close(), 60)


def _note(view: View, entry: Any) -> None:
    if entry.type == "error" and "Content Security Policy" in entry.text:
        view.faults.append(entry.text)


def _check_origin(view: View, url: str) -> None:
    if not url.startswith((view.url, "data:")):
        view.faults.append(f"asked {url}")


@pytest.fixture
async def view(browser: Any, door: Door) -> AsyncIterator[View]:
    """A window that is logged in."""
    async with opened(browser, door) as view:
        await view.log_in()
        yield view


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this directory needs a browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.console)
            item.add_marker(pytest.mark.xdist_group("console"))
