"""Alerts that come at the same time go to ingest together, and nobody notices."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from mesh.errors import InvalidInput, Unavailable
from sensus.ingest.v1 import ingest_service_pb2 as ingest
from tests.gateway.conftest import Running, reason_of
from tests.gateway.scripted import Script

AT = "2026-11-20T10:00:00Z"


def name_of(alert: Any) -> str:
    return next(label.value for label in alert.labels if label.name == "alertname")


class Ingest:
    """Holds calls until it is told to answer, and answers each alert by its name."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.sizes: list[int] = []
        self.came: asyncio.Queue[int] = asyncio.Queue()
        self.traces: dict[str, str] = {}

    async def __call__(self, request: ingest.WriteAlertsRequest) -> ingest.WriteAlertsResponse:
        self.sizes.append(len(request.alerts))
        self.came.put_nowait(len(request.alerts))
        await self.may_answer.wait()
        names = [name_of(alert) for alert in request.alerts]
        self.traces |= {name_of(alert): alert.traceparent for alert in request.alerts}
        if "broken" in names:
            raise InvalidInput("broken", reason="BROKEN")
        if "away" in names:
            raise Unavailable("away", reason="AWAY")
        repeated = [place for place, name in enumerate(names) if name.startswith("known")]
        bad = [place for place, name in enumerate(names) if name.startswith("bad")]
        return ingest.WriteAlertsResponse(
            accepted=len(names) - len(repeated) - len(bad),
            duplicates=len(repeated),
            duplicate_indices=repeated,
            errors=[ingest.AlertError(index=place, reason="BAD", message="bad") for place in bad],
            warnings=[
                ingest.AlertWarning(index=place, reason="ODD", message=name)
                for place, name in enumerate(names)
                if name.startswith("odd")
            ],
            alert_ids=["" if place in bad else name for place, name in enumerate(names)],
        )


async def until(holds: Callable[[], bool]) -> None:
    """Waits until it holds."""
    async with asyncio.timeout(300):
        while not holds():  # noqa: ASYNC110 - what it asks rings no bell
            await asyncio.sleep(0.01)


def waiting(running: Running) -> int:
    """Notices that wait in the gateway for the next call."""
    (routes,) = {
        endpoint.handle.__self__  # type: ignore[attr-defined]
        for endpoint in running.gateway.endpoints
        if endpoint.path == "/api/v1/alerts" and endpoint.method == "POST"
    }
    return sum(len(line.waiting) for line in routes.alert_calls._line_by_caller.values())


async def posted(
    running: Running, client: httpx.AsyncClient, script: Script, *notices: list[str]
) -> tuple[Ingest, list[httpx.Response]]:
    """Two notices that hold both calls, then these, all of which wait for them."""
    script.answers["WriteAlerts"] = answering = Ingest()
    posts = []
    for number, names in enumerate((["first"], ["second"], *notices)):
        alerts = [{"labels": {"alertname": name}, "startsAt": AT} for name in names]
        trace = {"traceparent": f"00-{number + 1:032x}-b7ad6b7169203331-01"}
        post = client.post("/api/v1/alerts", json=alerts, headers=trace)
        posts.append(asyncio.create_task(post))
        if number < 2:
            await answering.came.get()
        else:
            await until(lambda: waiting(running) == number - 1)  # noqa: B023 - awaited at once
    answering.may_answer.set()
    return answering, (await asyncio.gather(*posts))[2:]


async def test_what_comes_together_is_one_call_and_each_has_its_own_answer(
    running: Running, client: httpx.AsyncClient, script: Script
) -> None:
    notices = [["a", "bad 1"], ["known 1", "b"], ["odd 1"], ["c", "known 2", "bad 2", "odd 2"]]
    answering, answers = await posted(running, client, script, *notices)
    assert len(answering.sizes) < 2 + len(notices)
    assert sum(answering.sizes) == 2 + sum(map(len, notices))
    for names, answer in zip(notices, answers, strict=True):
        body = answer.json()
        assert body["alertIds"] == ["" if name.startswith("bad") else name for name in names]
        assert body["duplicates"] == sum(name.startswith("known") for name in names)
        places = [place for place, name in enumerate(names) if name.startswith("bad")]
        assert [error["index"] for error in body["errors"]] == places
        assert body["accepted"] == len(names) - body["duplicates"] - len(places)
        rule = [(each["index"], each["message"]) for each in body["warnings"]]
        assert rule == [(p, name) for p, name in enumerate(names) if name.startswith("odd")]


async def test_each_alert_keeps_its_own_trace(
    running: Running, client: httpx.AsyncClient, script: Script
) -> None:
    answering, _ = await posted(running, client, script, ["a"], ["b"], ["c"])
    traces = {name: answering.traces[name].split("-")[1] for name in "abc"}
    assert traces == {name: f"{number:032x}" for number, name in enumerate("abc", 3)}


async def test_what_is_wrong_with_one_costs_no_other(
    running: Running, client: httpx.AsyncClient, script: Script
) -> None:
    _, answers = await posted(running, client, script, ["a"], ["broken"], ["b"])
    assert [answer.status_code for answer in answers] == [200, 400, 200]
    assert reason_of(answers[1]) == "BROKEN"


async def test_without_a_commit_all_are_sent_again(
    running: Running, client: httpx.AsyncClient, script: Script
) -> None:
    _, answers = await posted(running, client, script, ["a"], ["away"])
    assert [answer.status_code for answer in answers] == [503, 503]
