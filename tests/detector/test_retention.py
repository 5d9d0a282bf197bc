"""Old anomalies and old feedback are forgotten by whole days; the log goes on."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mesh.clock import SystemClock
from services.detector.store import AnomalyStore, FeedbackStore, ModelStore, VersionStore
from services.detector.store import retention as portions
from services.detector.store.retention import RetentionStore
from services.detector.upkeep import retention
from services.detector.upkeep.retention import Retention
from tests.detector.anomaly_log import Log, a_finding
from tests.detector.models import a_model

if TYPE_CHECKING:
    from mesh.postgres import Pool


class Noon(SystemClock):
    """Always noon of the same day; sleeping takes no time."""

    def now_ms(self) -> int:
        return round(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp() * 1000)

    async def sleep(self, seconds: float) -> None:
        return


async def test_versions_that_nothing_uses_are_forgotten(
    pool: "Pool", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portions, "VERSIONS_KEPT", 2)
    store = ModelStore(pool)
    for version in range(1, 7):
        await store.add_and_activate(a_model(), version)
    await VersionStore(pool).activate(1)
    await pool.execute(
        "UPDATE detector.model SET created_at = CASE WHEN version = 3 THEN now() "
        "ELSE now() - interval '100 years' END"
    )
    await Retention(RetentionStore(pool), 7, Noon()).drop()
    assert [each.version for each in await VersionStore(pool).list(100, 10)] == [6, 5, 3, 1]


async def test_what_is_older_than_whole_days_is_forgotten(
    pool: "Pool", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portions, "AT_ONCE", 2)
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    log = Log(pool)
    await log.commit(*(a_finding(n) for n in range(6)))
    for n in range(6):
        await FeedbackStore(pool).put(
            a_finding(n).anomaly_id, true_alarm=False, comment="", subject="user:a"
        )
    old, young = datetime(2026, 11, 12, 23, 59, tzinfo=UTC), datetime(2026, 11, 13, tzinfo=UTC)
    await pool.execute(
        "UPDATE detector.anomaly SET commit_time = CASE WHEN value < 5 "
        "THEN $1::timestamptz ELSE $2::timestamptz END", old, young
    )  # fmt: skip
    await pool.execute("UPDATE detector.feedback SET created_at = $1", old)
    await Retention(RetentionStore(pool), 7, Noon()).drop()
    left = await AnomalyStore(pool).after(0, 10)
    assert [each.anomaly.finding.value for each in left] == [5.0]
    assert await AnomalyStore(pool).dropped() == left[0].cursor - 1
    assert await pool.fetchval("SELECT count(*) FROM detector.feedback") == 0
    await log.commit(a_finding(7))
    assert (await AnomalyStore(pool).after(0, 10))[-1].cursor > left[0].cursor
