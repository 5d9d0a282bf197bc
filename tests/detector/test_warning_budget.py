"""Beyond the accepted warnings of a week the louder ones alone are announced as such."""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mesh.config import ConfigError
from mesh.selector import parse
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.config import Config
from services.detector.model.budget import Budget, Group
from services.detector.store import CheckpointStore
from tests.detector.anomaly_log import Log, listed, of_shop
from tests.detector.running import RunningDetector

if TYPE_CHECKING:
    from mesh.postgres import Pool


async def test_beyond_the_weeks_warnings_the_louder_alone_are_warnings(
    stub: Any, pool: "Pool"
) -> None:
    """A fresh installation has half of them; history, members and infos cost none."""
    log = Log(pool)
    log.store = CheckpointStore(pool, budget=Budget(per_week=8))
    now = {"event_ms": time.time_ns() // 1_000_000}
    recent = [dataclasses.replace(of_shop(n, **now), shared=("service", f"s{n}")) for n in range(9)]
    info = of_shop(20, score=0.5, **now)
    members = [dataclasses.replace(recent[0], series_id=n, anomaly_id=f"m{n}") for n in (30, 31)]
    await log.commit(of_shop(40), info, *recent[:1], *members, *recent[1:])
    louder = dataclasses.replace(of_shop(50, score=0.96, **now), shared=("service", "s9"))
    await log.commit(louder, dataclasses.replace(louder, series_id=51, anomaly_id="again"))
    found = {each.series_id: each for each in await listed(stub)}
    held = {n for n, each in found.items() if each.over_budget}
    assert held == {4, 5, 6, 7, 8}
    assert {found[n].severity for n in held} == {series_pb2.SEVERITY_INFO}
    assert {found[n].alert_score for n in held} == {0.9}
    assert found[50].severity == series_pb2.SEVERITY_CRITICAL
    assert found[51].lead_anomaly_id == louder.anomaly_id


async def test_noisy_sender_spends_no_more_than_half_of_the_warnings(
    stub: Any, pool: "Pool"
) -> None:
    log = Log(pool)
    log.store = CheckpointStore(pool, budget=Budget(per_week=8))
    now_ms = time.time_ns() // 1_000_000
    noisy = [of_shop(1, event_ms=now_ms + n, anomaly_id=f"n{n}") for n in range(6)]
    other = dataclasses.replace(of_shop(2, event_ms=now_ms), shared=("service", "other"))
    await log.commit(*noisy, other)
    held = {each.anomaly_id for each in await listed(stub) if each.over_budget}
    assert held == {"n2", "n3", "n4", "n5"}


async def test_what_is_louder_than_a_lead_that_was_held_back_is_told_by_itself(
    stub: Any, pool: "Pool"
) -> None:
    """In the same commit and in a later one; what is critical always is."""
    log = Log(pool)
    log.store = CheckpointStore(pool, budget=Budget(per_week=2))
    now = {"event_ms": time.time_ns() // 1_000_000}
    first = dataclasses.replace(of_shop(1, **now), shared=("service", "other"))
    await log.commit(first, of_shop(2, **now), of_shop(3, score=0.93, **now), of_shop(4, **now))
    later = [of_shop(n, score=score, **now) for n, score in ((11, 0.9), (12, 0.945), (13, 0.94))]
    bar = [dataclasses.replace(each, shared=("service", "bar")) for each in later]
    await log.commit(bar[0])
    await log.commit(*bar[1:])
    await log.commit(of_shop(7, score=0.951, **now), of_shop(8, score=0.95, **now))
    found = {each.series_id: each for each in await listed(stub)}
    assert {n for n, each in found.items() if each.over_budget} == {2, 11}
    leads = {n for n, each in found.items() if not each.lead_anomaly_id}
    assert leads == {1, 2, 3, 7, 11, 12}
    assert {found[n].severity for n in (3, 12)} == {series_pb2.SEVERITY_WARNING}
    assert found[7].severity == series_pb2.SEVERITY_CRITICAL
    under = {n: found[n].lead_anomaly_id for n in (4, 8, 13)}
    assert under == {4: found[2].anomaly_id, 8: found[7].anomaly_id, 13: found[12].anomaly_id}


def group(text: str, per_week: float) -> Group:
    return Group(text=text, selector=parse(text), per_week=per_week)


async def test_group_spends_its_own_warnings_and_no_others(stub: Any, pool: "Pool") -> None:
    """Without a limit in all, what no selector matches is never held back."""
    log = Log(pool)
    log.store = CheckpointStore(pool, budget=Budget(groups=(group('{env="dev"}', 2),)))
    now = {"event_ms": time.time_ns() // 1_000_000}
    dev = [
        dataclasses.replace(of_shop(n, **now), labels={"env": "dev"}, shared=("service", f"s{n}"))
        for n in range(4)
    ]
    others = [dataclasses.replace(of_shop(n, **now), shared=("service", f"s{n}")) for n in (5, 6)]
    await log.commit(*dev, *others)
    assert {each.series_id for each in await listed(stub) if each.over_budget} == {1, 2, 3}


async def test_purse_that_fills_slowly_is_kept_until_it_is_full(stub: Any, pool: "Pool") -> None:
    """With a warning in four weeks, the week after one has none."""
    log = Log(pool)
    log.store = CheckpointStore(pool, budget=Budget(groups=(group('{env="dev"}', 0.25),)))
    now = {"event_ms": time.time_ns() // 1_000_000, "labels": {"env": "dev"}}
    await log.commit(of_shop(1, **now))
    ten_days = "UPDATE detector.warning_purse SET at_ms = at_ms - 864000000"
    await pool.execute(ten_days)
    await log.commit(dataclasses.replace(of_shop(2, **now), shared=("service", "other")))
    found = {each.series_id: each.over_budget for each in await listed(stub)}
    assert found == {1: False, 2: True}


async def test_status_promises_what_is_left_in_words(
    detector: RunningDetector, pool: "Pool"
) -> None:
    await detector.start(workers=[], warnings_per_week=8, group_warnings='{"{env=\\"dev\\"}": 2.5}')
    log = Log(pool)
    log.store = CheckpointStore(pool, budget=Budget(per_week=8))
    await log.commit(of_shop(1, event_ms=time.time_ns() // 1_000_000))
    async with detector.client() as stub:
        status = await stub.GetDetectorStatus(detector_pb.GetDetectorStatusRequest())
    whole, dev = status.warning_budgets
    assert (whole.selector, whole.warnings_per_week, whole.warnings_left) == ("", 8.0, 3)
    assert whole.promise.startswith(
        "At most 8 warnings about values of this installation in a week, 3 of them now."
    )
    assert (dev.selector, dev.warnings_per_week, dev.warnings_left) == ('{env="dev"}', 2.5, 1)
    assert 'of series {env="dev"} in a week' in dev.promise


@pytest.mark.parametrize(
    "text", ["4", "{", '{"": 4}', '{"{env=}": 4}', '{"{a=\\"b\\"}": 0}', '{"{a=\\"b\\"}": "4"}']
)
def test_groups_that_cannot_be_read_are_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"SENSUS_DETECTOR_GROUP_WARNINGS: .*write for example"):
        Config(
            postgres_dsn="postgresql:///none",
            auth_jwks_file=Path("jwks.json"),
            auth_key_file=Path("key.pem"),
            group_warnings=text,
        )
