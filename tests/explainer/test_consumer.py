"""Alerts and anomalies are explained unasked: acknowledged after the explanation is stored."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mesh.clients import Backoff
from mesh.errors import Unavailable
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.explainer.consumer.alerts import AlertSession
from services.explainer.consumer.anomalies import AnomalyWatch
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import RESOLVED, Detector, Ingest, alert, anomaly


async def until(reached: Callable[[], bool], within_s: float = 120.0) -> None:
    """Waits for something to become true."""
    async with asyncio.timeout(within_s):
        while not reached():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def working(running: Running, *workers: str) -> AsyncIterator[None]:
    """Runs workers of an explainer, with short waits between sessions."""
    for consumer in (running.explainer.alerts, running.explainer.anomalies):
        consumer._waits = lambda: Backoff(0.05, 0.2)
    tasks = [asyncio.create_task(running.explainer.workers[name]()) for name in workers]
    try:
        yield
        assert not [task for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def explanations(running: Running) -> list[pb.Explanation]:
    """All of them."""
    answer = await running.stub.ListExplanations(pb.ListExplanationsRequest())
    return list(answer.explanations)


async def settled(running: Running) -> list[pb.Explanation]:
    """All of them, once there are some and none is being made."""
    async with asyncio.timeout(120):
        while True:
            found = await explanations(running)
            if found and all(each.state != pb.EXPLANATION_STATE_RUNNING for each in found):
                return found
            await asyncio.sleep(0.02)


async def test_alert_that_fires_is_explained_then_acknowledged(
    explainer: Running, ingest: Ingest
) -> None:
    async with working(explainer, "alerts"):
        ingest.deliver(alert("a1"), "d1")
        await until(lambda: ingest.acked == ["d1"])
        (found,) = await explanations(explainer)
    assert found.state == pb.EXPLANATION_STATE_DONE
    assert found.subject == pb.Subject(alert_id="a1")


async def test_subscription_is_shared_named_and_bounded(start: Start, ingest: Ingest) -> None:
    explainer = await start(explain_at_once=3, consumer_id="explainer-7", llm_timeout_s=30.0)
    async with working(explainer, "alerts"):
        await until(lambda: bool(ingest.opened))
    opened = ingest.opened[0]
    assert opened.subscription == "explainer"
    assert opened.consumer_id == "explainer-7"
    assert opened.topic == ingest_pb.TOPIC_ALERTS
    assert opened.mode == ingest_pb.SUBSCRIPTION_MODE_SHARED
    assert opened.initial_credit == ingest_pb.SubscribeCredit(samples=3)
    assert opened.ack_deadline.seconds == 90
    assert opened.max_attempts == 60


async def test_nothing_is_acknowledged_before_it_is_stored(start: Start, ingest: Ingest) -> None:
    ingest.faults.delay_s["ListAlerts"] = 0.4
    explainer = await start()
    async with working(explainer, "alerts"):
        ingest.deliver(alert("a1"), "d1")
        acked = False
        while not acked:
            acked = bool(ingest.acked)
            found = await explanations(explainer)
            assert not acked or found[0].state == pb.EXPLANATION_STATE_DONE
            await asyncio.sleep(0.01)


async def test_resolved_alert_is_acknowledged_without_an_explanation(
    explainer: Running, ingest: Ingest
) -> None:
    async with working(explainer, "alerts"):
        ingest.deliver(alert("a1", state=RESOLVED), "d1")
        await until(lambda: ingest.acked == ["d1"])
    assert await explanations(explainer) == []


async def test_alerts_told_many_times_in_any_order_are_explained_once_each(
    start: Start, ingest: Ingest
) -> None:
    first, second = await start(consumer_id="one"), await start(consumer_id="two")
    told = [(f"a{n}", f"d{n}-{copy}") for n in range(5) for copy in range(8)]
    random.Random(7).shuffle(told)
    for n in range(5):
        ingest.alerts[f"a{n}"] = alert(f"a{n}")
    async with working(first, "alerts"), working(second, "alerts"):
        for alert_id, delivery_id in told:
            ingest.deliver(alert(alert_id), delivery_id)
        await until(lambda: len(ingest.acked) == len(told))
    assert sorted(ingest.acked) == sorted(delivery_id for _, delivery_id in told)
    found = await explanations(first)
    assert sorted(e.subject.alert_id for e in found) == ["a0", "a1", "a2", "a3", "a4"]


async def test_no_more_alerts_are_taken_than_are_explained_at_once(
    start: Start, ingest: Ingest
) -> None:
    ingest.faults.delay_s["ListAlerts"] = 0.1
    explainer = await start(explain_at_once=2)
    for n in range(12):
        ingest.alerts[f"a{n}"] = alert(f"a{n}")
        ingest.deliver(alert(f"a{n}"), f"d{n}")
    async with working(explainer, "alerts"):
        await until(lambda: len(ingest.acked) == 12)
    assert ingest.most_in_flight == 2


async def test_alert_is_explained_from_its_delivery_when_ingest_cannot_be_asked_for_it(
    explainer: Running, ingest: Ingest
) -> None:
    ingest.faults.errors["GetAlert"] = Unavailable("away")
    async with working(explainer, "alerts"):
        ingest.deliver(alert("unknown"), "d1")
        await until(lambda: ingest.acked == ["d1"])


async def test_failure_gives_the_alert_back_for_later(explainer: Running, ingest: Ingest) -> None:
    leases = explainer.explainer.jobs._leases
    begin = leases.begin

    async def away(*about: Any, **more: Any) -> Any:
        raise Unavailable("away for now", retry_after_s=4.0)

    leases.begin = away  # type: ignore[method-assign]
    async with working(explainer, "alerts"):
        ingest.deliver(alert("a1"), "d1")
        await until(lambda: bool(ingest.nacked))
        (nack,) = ingest.nacked
        assert (nack.permanent, nack.redeliver_after.seconds) == (False, 4)
        leases.begin = begin  # type: ignore[method-assign]
        ingest.deliver(alert("a1"), "d1", attempt=2)
        await until(lambda: ingest.acked == ["d1"])


async def test_failed_explanation_gives_the_alert_back(start: Start, ingest: Ingest) -> None:
    def fails(case: Any) -> Any:
        raise RuntimeError("unforeseen")

    def break_it(explainer: Any) -> None:
        object.__setattr__(explainer.jobs._work, "rank", fails)

    explainer = await start(wrap=break_it)
    async with working(explainer, "alerts"):
        ingest.deliver(alert("a1"), "d1")
        await until(lambda: bool(ingest.nacked))
        assert ingest.acked == []
        assert not ingest.nacked[0].permanent
        ingest.deliver(alert("a1"), "d1", attempt=5)
        await until(lambda: len(ingest.nacked) == 2)
    assert ingest.nacked[1].permanent
    assert ingest.nacked[1].reason.endswith(" failed")


async def test_stream_that_drains_is_opened_again(explainer: Running, ingest: Ingest) -> None:
    async with working(explainer, "alerts"):
        await until(lambda: len(ingest.opened) == 1)
        ingest.draining.set()
        ingest._ring()
        await until(lambda: len(ingest.opened) > 1)
        ingest.draining.clear()
        ingest.deliver(alert("a1"), "d1")
        await until(lambda: ingest.acked == ["d1"])


async def test_anomaly_is_explained_by_itself(explainer: Running, detector: Detector) -> None:
    async with working(explainer, "anomalies"):
        detector.announce(anomaly("n1", cursor=41))
        await until_cursor(explainer, 41)
    (found,) = await explanations(explainer)
    assert found.subject == pb.Subject(anomaly_id="n1")
    assert detector.watched_after == [0]
    assert detector.min_severities == [series_pb2.SEVERITY_WARNING]


async def until_cursor(running: Running, cursor: int) -> None:
    """Waits until everything up to the cursor is explained."""
    async with asyncio.timeout(120):
        query = "SELECT cursor FROM explainer.cursor WHERE name = 'anomalies'"
        while await running.explainer.pool.fetchval(query) != cursor:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_watch_goes_on_after_the_last_explained_anomaly(
    start: Start, detector: Detector
) -> None:
    first = await start()
    detector.announce(anomaly("n1", cursor=3))
    async with working(first, "anomalies"):
        await until_cursor(first, 3)
    second = await start()
    detector.announce(anomaly("n2", cursor=9))
    async with working(second, "anomalies"):
        await until_cursor(second, 9)
    assert detector.watched_after == [0, 3]
    assert len(await explanations(second)) == 2


async def test_log_that_was_restored_is_read_again(start: Start, detector: Detector) -> None:
    first = await start()
    detector.announce(anomaly("n1", cursor=3000))
    async with working(first, "anomalies"):
        await until_cursor(first, 3000)
    # the log of anomalies is an older copy by now, which ends before that place
    detector.anomalies.clear()
    detector.last = 1500
    detector.announce(anomaly("n2", cursor=700))
    second = await start()
    async with working(second, "anomalies"):
        await until_cursor(second, 700)
    assert detector.watched_after[1:3] == [3000, 500]
    assert len(await explanations(second)) == 2


async def test_cursor_waits_for_the_slowest_anomaly_before_it(
    start: Start, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = await start()
    leases = explainer.explainer.jobs._leases
    begin, refused = leases.begin, 0

    async def away_for_the_first(ref: Any, *about: Any, **more: Any) -> Any:
        nonlocal refused
        if ref.id == "n1":
            refused += 1
            raise Unavailable("away", retry_after_s=None)
        return await begin(ref, *about, **more)

    monkeypatch.setattr(leases, "begin", away_for_the_first)
    detector.announce(anomaly("n1", cursor=3))
    detector.announce(anomaly("n2", cursor=4))
    async with working(explainer, "anomalies"):
        await until(lambda: refused > 1)
        (found,) = await settled(explainer)
        assert found.subject.anomaly_id == "n2"
        query = "SELECT cursor FROM explainer.cursor WHERE name = 'anomalies'"
        assert await explainer.explainer.pool.fetchval(query) == 0
        monkeypatch.undo()
        await until_cursor(explainer, 4)


async def test_one_replica_watches_and_another_takes_its_place(
    start: Start, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await start(), await start()
    cursors = second.explainer.anomalies._cursors
    hold, refused = cursors.hold, asyncio.Event()

    async def noting(*about: Any) -> int | None:
        cursor = await hold(*about)
        if cursor is None:
            refused.set()
        return cursor

    monkeypatch.setattr(cursors, "hold", noting)
    async with working(first, "anomalies"):
        await until(lambda: len(detector.watched_after) == 1)
        async with working(second, "anomalies"):
            await refused.wait()
    assert len(detector.watched_after) == 1
    detector.announce(anomaly("n1", cursor=5))
    async with working(second, "anomalies"):
        await until_cursor(second, 5)


async def test_anomalies_are_left_alone_when_told_so(
    start: Start, ingest: Ingest, detector: Detector
) -> None:
    explainer = await start(explain_anomalies_min_severity="none")
    detector.announce(anomaly("n1", cursor=1))
    async with working(explainer, "anomalies", "alerts"):
        ingest.deliver(alert("a1"), "d1")
        await until(lambda: ingest.acked == ["d1"])
    assert detector.watched_after == []


async def test_anomaly_is_explained_as_it_was_announced_when_the_detector_cannot_be_asked_for_it(
    explainer: Running, detector: Detector
) -> None:
    detector.faults.errors["GetAnomaly"] = Unavailable("away")
    detector.announce(anomaly("n1", cursor=1))
    async with working(explainer, "anomalies"):
        await until_cursor(explainer, 1)
    assert [e.subject.anomaly_id for e in await explanations(explainer)] == ["n1"]


async def test_consumers_go_on_after_an_unforeseen_error(
    explainer: Running, ingest: Ingest, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = []
    for kind in (AlertSession, AnomalyWatch):
        _break_once(monkeypatch, kind, broken)
    async with working(explainer, "alerts", "anomalies"):
        ingest.deliver(alert("a1"), "d1")
        detector.announce(anomaly())
        await until(lambda: ingest.acked == ["d1"])
        async with asyncio.timeout(120):
            while len(await explanations(explainer)) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert sorted(broken) == ["AlertSession", "AnomalyWatch"]


def _break_once(monkeypatch: pytest.MonkeyPatch, kind: Any, broken: list[str]) -> None:
    run = kind.run

    async def breaks(self: Any, *about: Any) -> None:
        if kind.__name__ not in broken:
            broken.append(kind.__name__)
            raise KeyError("nobody foresaw it")
        await run(self, *about)

    monkeypatch.setattr(kind, "run", breaks)


async def test_what_is_settled_behind_a_stuck_anomaly_takes_no_room(explainer: Running) -> None:
    watch = AnomalyWatch(explainer.explainer.jobs, Any, uuid.uuid4(), 4, lambda: None)  # type: ignore[arg-type]
    stuck = asyncio.create_task(asyncio.Event().wait())
    watch._pending.append((1, stuck))  # type: ignore[arg-type]
    for cursor in range(2, 1000):
        heartbeat = detector_pb.WatchHeartbeat()
        await watch._take(detector_pb.WatchAnomaliesResponse(cursor=cursor, heartbeat=heartbeat))
    watch._compact()
    stuck.cancel()
    assert [cursor for cursor, _ in watch._pending] == [1, 999]
