"""What axe finds on a page of the console, and which pages there are."""

from typing import Final

import pytest

from tests.console.conftest import View

PAGES: Final = (
    "/",
    "/alerts",
    "/services",
    "/services/checkout",
    "/explore",
    "/notices",
    "/rules",
    "/people",
)
_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def findings(view: View) -> list[str]:
    """What is wrong with the page as it is shown, one line each. Skips without axe."""
    axe = pytest.importorskip(
        "axe_playwright_python.async_playwright", reason="`make browser` installs it"
    )
    result = await axe.Axe().run(view.page, options={"runOnly": _TAGS})
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in result.response["violations"]
        for node in each["nodes"]
    ]
