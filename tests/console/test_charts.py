"""Charts of one page have titles of their own, and axes that can be read."""

import json
import random
from typing import Any

from tests.console.conftest import View, opened
from tests.product import Door

TITLES = "charts/titles.js"


def series(**labels: str) -> list[dict[str, str]]:
    named = {"__name__": "cores", "host": "h", **labels}
    return [{"name": name, "value": value} for name, value in named.items()]


async def titles(view: View, *all_labels: list[dict[str, str]]) -> list[str]:
    found = await view.module(TITLES, f"m.titlesOf({json.dumps(all_labels)})")
    assert isinstance(found, list)
    return found


async def test_a_title_names_the_labels_that_tell_series_apart(browser: Any, door: Door) -> None:
    async with opened(browser, door) as view:
        await view.log_in()
        assert await titles(view, series(groupname="python3", env="a")) == ["h · cores"]
        assert await titles(
            view, series(groupname="python3", env="a"), series(groupname="redis", env="a")
        ) == ["groupname=python3 · h · cores", "groupname=redis · h · cores"]
        # one that differs more is enough; another metric and another place say it themselves
        assert await titles(
            view,
            series(groupname="python3", mode="user"),
            series(groupname="redis", mode="user"),
            series(groupname="nginx", mode="system"),
            series(__name__="load"),
            series(host="other"),
        ) == [
            "groupname=python3 · h · cores",
            "groupname=redis · h · cores",
            "groupname=nginx · h · cores",
            "h · load",
            "other · cores",
        ]
        assert await titles(
            view, series(mode="user", cpu="0"), series(mode="user", cpu="1"), series(mode="idle")
        ) == ["cpu=0 · h · cores", "cpu=1 · h · cores", "no cpu · h · cores"]
        assert await titles(view, series(), series()) == ["h · cores", "h · cores"]
        assert await titles(view) == []


async def test_series_that_differ_never_have_the_same_title(browser: Any, door: Door) -> None:
    pages = []
    for seed in range(60):
        chance = random.Random(seed)
        sets = {
            json.dumps(
                series(
                    **{
                        name: chance.choice(("x", "y", "z"))
                        for name in ("a", "b", "host", "service")
                        if chance.random() < 0.8
                    }
                ),
                sort_keys=True,
            )
            for _ in range(12)
        }
        pages.append([json.loads(each) for each in sorted(sets)])
    async with opened(browser, door) as view:
        await view.log_in()
        found = await view.module(TITLES, f"{json.dumps(pages)}.map(each => m.titlesOf(each))")
    for page, shown in zip(pages, found, strict=True):
        assert len(set(shown)) == len(page), shown


async def test_a_chart_says_its_title_to_those_who_cannot_see_it(browser: Any, door: Door) -> None:
    async with opened(browser, door) as view:
        await view.log_in("/explore?selector={__name__=~%22checkout_.*%22}&span=86400")
        for name in ("checkout_latency_ms", "checkout_errors"):
            chart = view.page.locator("figure", has_text=name)
            await chart.wait_for()
            said = await chart.locator("canvas").get_attribute("aria-label")
            assert said.startswith(f"{name}: ")
            assert await chart.locator("caption").text_content() == name


CUT = """(() => {
  const own = CanvasRenderingContext2D.prototype.fillText, cut = [];
  let count = 0;
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y, most = Infinity) {
    const width = Math.min(this.measureText(text).width, most);
    const left = this.textAlign === "right" ? x - width : x - width / 2;
    count += 1;
    if (left < 0 || left + width > this.canvas.clientWidth + 1) cut.push(text);
    return own.call(this, text, x, y, most);
  };
  for (const highest of [0.0000123, 1, 22_600_000, 7e11, 1e18, -88_000_000]) {
    const {element, set} = m.chart(`up to ${highest}`);
    document.getElementById("main").append(element);
    const times = [0, 60_000, 120_000];
    set({times, values: [highest * 0.97, highest, highest * 0.99]}, {startMs: 0, endMs: 120_000});
  }
  CanvasRenderingContext2D.prototype.fillText = own;
  return {count, cut};
})()"""


async def test_no_figure_of_an_axis_is_cut(browser: Any, door: Door) -> None:
    async with opened(browser, door) as view:
        await view.log_in()
        drawn = await view.module("charts/chart.js", CUT)
        assert drawn["count"] > 20
        assert drawn["cut"] == []
