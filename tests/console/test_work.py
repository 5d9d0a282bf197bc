"""What a person does: log in, look, act, all by the keyboard; and what may go wrong meanwhile."""

from typing import Any

import pytest

from tests.console.conftest import View, alert, killed, opened
from tests.product import Door

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "\u202egnp.exe",
    "x" * 2000,
    "javascript:alert(1)",
)


async def test_the_keyboard_leads_everywhere(view: View) -> None:
    page = view.page
    for keys, heading in (("ga", "Alerts"), ("gx", "Explore"), ("gr", "Rules"), ("gs", "Services")):
        await page.keyboard.press(keys[0])
        await page.keyboard.press(keys[1])
        await view.until_seen("main h1", heading)
    await page.keyboard.press("g")
    await page.keyboard.press("a")
    await view.until_seen(".row", "Checkout0")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    focused = await page.evaluate("document.activeElement.getAttribute('role')")
    assert focused == "row"
    await page.keyboard.press("Enter")
    await view.until_seen("main h2", "History")
    await page.keyboard.press("?")
    await view.until_seen("dialog.help", "Keys")
    await page.keyboard.press("Escape")


async def test_single_letters_can_be_switched_off(view: View) -> None:
    page = view.page
    await view.go("/alerts")
    await page.keyboard.press("?")
    await page.locator("dialog.help input").uncheck()
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("x")
    assert await view.text("main h1") == "Alerts"


async def test_a_new_alert_waits_and_moves_nothing(view: View) -> None:
    await view.go("/alerts")
    await view.until_seen(".row", "Checkout0")
    await view.until_seen(".liveness", "live")
    before = await view.page.locator(".rows-body .row").first.get_attribute("data-key")
    await alert(view.door, "Newcomer", severity="critical", service="cart")
    await view.until_seen(".news", "1 new")
    assert await view.page.locator(".rows-body .row").first.get_attribute("data-key") == before
    await view.page.locator(".news").click()
    await view.until_seen(".row", "Newcomer")


async def test_hostile_labels_stay_text(view: View) -> None:
    for number, text in enumerate(HOSTILE):
        await alert(view.door, f"Hostile{number}", severity="warning", service=text, summary=text)
    await view.go("/alerts?selector=" + "{alertname=~%22Hostile.*%22}")
    await view.until_seen(".row", "Hostile0")
    assert await view.page.locator("main img, main script").count() == 0
    await view.page.locator(".row", has_text="Hostile0").locator("a").click()
    await view.until_seen("main h2", "History")
    assert HOSTILE[0] in await view.text("main .labels")


async def test_a_stream_that_is_cut_goes_on_without_loss(view: View) -> None:
    await view.go("/alerts")
    await view.until_seen(".liveness", "● live")
    for number in range(3):
        await alert(view.door, f"Before{number}", severity="info", service="cut")
    await view.until_seen(".news", "new")
    await killed(view, "gateway")
    await alert(view.door, "While", severity="info", service="cut")
    await alert(view.door, "After", severity="info", service="cut")

    async def all_there() -> bool | None:
        if await view.page.locator(".news").is_visible():
            await view.page.locator(".news").click()
        names = await view.page.locator(".row").all_inner_texts()
        wanted = ("Before0", "Before1", "Before2", "While", "After")
        counts = [sum(name in text for text in names) for name in wanted]
        assert max(counts) <= 1
        return True if counts == [1] * len(wanted) else None

    await view.until(all_there, "every alert, once")


async def test_a_session_that_ends_keeps_what_was_typed(browser: Any, door: Door) -> None:
    password = "a long enough password"
    await door.http.post(
        "/api/v1/users", json={"userName": "tired", "password": password, "role": "admin"}
    )
    async with opened(browser, door) as view:
        await view.page.goto(f"{view.url}/login")
        await view.page.fill("#user-name", "tired")
        await view.page.fill("#password", password)
        await view.page.keyboard.press("Enter")
        await view.page.wait_for_selector("nav")
        await view.go("/alerts")
        await view.page.fill("#selector", '{service="checkout"}')
        changed = await door.http.patch("/api/v1/users/tired", json={"password": password + "!"})
        assert changed.status_code == 200, changed.text
        await view.page.keyboard.press("Enter")
        await view.until_seen("dialog", "Your session is over")
        await view.page.fill("dialog #user-name", "tired")
        await view.page.fill("dialog #password", password + "!")
        await view.page.keyboard.press("Enter")
        await view.until_seen(".liveness", "live")
        assert await view.page.input_value("#selector") == '{service="checkout"}'


async def test_a_wrong_password_says_so(browser: Any, door: Door) -> None:
    async with opened(browser, door) as view:
        await view.page.goto(f"{view.url}/rules")
        await view.page.fill("#user-name", "admin")
        await view.page.fill("#password", "wrong")
        await view.page.keyboard.press("Enter")
        await view.until_seen("[role=alert]", "wrong user or password")


async def test_a_page_that_is_not_there_says_so(view: View) -> None:
    await view.page.goto(f"{view.url}/alerts/nothing")
    await view.until_seen("main h1", "cannot be shown")


async def test_ten_thousand_alerts_are_a_screenful_of_rows(view: View) -> None:
    for start in range(0, 10_000, 1000):
        batch = [
            {"labels": {"alertname": f"Many{number}", "severity": "warning", "service": "many"}}
            for number in range(start, start + 1000)
        ]
        answer = await view.door.http.post("/api/v1/alerts", json=batch)
        assert answer.status_code == 200, answer.text
    await view.go("/alerts?selector=" + "{service=%22many%22}")
    await view.until_seen(".row", "Many")
    for _ in range(30):
        await view.page.keyboard.press("j")
    await view.page.evaluate("document.querySelector('.rows').scrollTop = 1e7")
    await view.page.wait_for_timeout(500)
    assert await view.page.locator(".rows [role=row]").count() <= 60


@pytest.mark.parametrize("span", ["900", "86400"])
async def test_a_selector_becomes_charts(view: View, span: str) -> None:
    await view.go(f"/explore?selector=checkout_latency_ms&span={span}")
    await view.until_seen("figure", "checkout_latency_ms")
    canvas = view.page.locator("figure canvas").first
    await canvas.focus()
    await view.page.keyboard.press("ArrowLeft")

    async def read() -> bool | None:
        return True if ":" in await view.page.inner_text("#status") else None

    await view.until(read, "a point that is read")
    await view.page.locator("figure summary").first.click()
    assert await view.page.locator("figure tbody tr").count() > 1


async def test_a_release_under_an_open_page_is_taken(view: View) -> None:
    """The files of the old one are gone: the page loads itself anew instead of failing."""
    gone: list[str] = []

    async def old(route: Any) -> None:
        if gone:
            await route.continue_()
        else:
            gone.append(route.request.url)
            await route.fulfill(status=404)

    await view.page.route("**/pages/services.js", old)
    await view.page.locator("nav a", has_text="Services").click()
    await view.until_seen("main h1", "Services and hosts")
    assert gone


async def test_a_page_whose_file_stays_away_says_so(view: View) -> None:
    await view.page.route("**/pages/services.js", lambda route: route.fulfill(status=404))
    await view.page.locator("nav a", has_text="Services").click()
    await view.until_seen("main h1", "cannot be shown")
