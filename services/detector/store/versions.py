"""Versions of the model as people see them: listed, judged, activated."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import numpy as np

from mesh import audit
from mesh.postgres import guard
from services.detector.detectors.engine import FEATURES
from services.detector.model.model_life import (
    Evaluation,
    JudgedVectors,
    Live,
    ModelVersion,
    evaluation_of,
)

if TYPE_CHECKING:
    from mesh.postgres import Pool

_VERSIONS: Final = """
SELECT version, active, shadow, created_at, activated_at, trigger, feature_names,
    artifact_sha256, training_samples, training_start, training_end, parameters,
    score_histogram, evaluation, samples, loud_samples, loud_with_active, histogram
FROM detector.model LEFT JOIN (
    SELECT version, samples, loud AS loud_samples, loud_with_active, histogram
    FROM detector.live_score) AS live USING (version)
"""
_LIVE: Final = """
INSERT INTO detector.live_score (version, samples, loud, loud_with_active, histogram)
SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT FROM detector.model WHERE version = $1)
ON CONFLICT (version) DO UPDATE SET
    samples = live_score.samples + $2,
    loud = live_score.loud + $3,
    loud_with_active = live_score.loud_with_active + $4,
    histogram = (
        SELECT array_agg(greatest(a * 0.5 ^ least(greatest(
            extract(epoch FROM now() - live_score.updated_at) / 86400.0, 0), 50), 1e-6) + b
            ORDER BY place)
        FROM unnest(live_score.histogram, $5::float8[]) WITH ORDINALITY AS bins (a, b, place)),
    updated_at = now()
"""
_ACTIVATE: Final = """
UPDATE detector.model SET active = true, shadow = false, activated_at = now() WHERE version = $1
"""
_RETIRE: Final = """
UPDATE detector.model SET active = false
WHERE active AND EXISTS (SELECT FROM detector.model WHERE version = $1)
"""
_ACTIVE: Final = "SELECT version FROM detector.model WHERE active"
_JUDGED: Final = """
SELECT features, true_alarm FROM detector.feedback
WHERE kind = 1 ORDER BY created_at DESC, anomaly_id LIMIT 2000
"""


_LOCK: Final = 0x56455253


class VersionStore:
    """Questions about versions; none reads an artifact."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def list(self, before: int, limit: int) -> "list[ModelVersion]":
        """The newest `limit` versions below `before`."""
        query = f"{_VERSIONS} WHERE version < $1 ORDER BY version DESC LIMIT $2"
        with guard("list_models"):
            rows = await self._pool.fetch(query, before, limit)
        return [_version(row) for row in rows]

    async def find(self, version: int) -> ModelVersion | None:
        """One version, if there is one."""
        with guard("get_model"):
            row = await self._pool.fetchrow(f"{_VERSIONS} WHERE version = $1", version)
        return None if row is None else _version(row)

    async def active(self) -> ModelVersion | None:
        """The version that scores, if there is one for the features of this build."""
        query = f"{_VERSIONS} WHERE active AND feature_names = $1"
        with guard("get_active_model"):
            row = await self._pool.fetchrow(query, [*FEATURES])
        return None if row is None else _version(row)

    async def activate(self, version: int) -> bool:
        """Makes it the one that scores, in one transaction; False when there is no such one."""
        with guard("activate_model"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                before = await connection.fetchval(_ACTIVE)
                await connection.execute(_RETIRE, version)
                if await connection.execute(_ACTIVATE, version) != "UPDATE 1":
                    return False
                detail = audit.changes({"active": before}, {"active": version})
                await audit.append(
                    connection,
                    "detector",
                    action="model.activate",
                    subject=str(version),
                    detail=detail,
                )
        return True

    async def put_evaluation(self, version: int, evaluation: Evaluation) -> None:
        """Keeps the last evaluation of a version."""
        query = "UPDATE detector.model SET evaluation = $2 WHERE version = $1"
        with guard("put_evaluation"):
            await self._pool.execute(query, version, asdict(evaluation))

    async def add_live(self, version: int, more: Live) -> None:
        """Adds what one detector saw."""
        figures = (more.samples, more.loud, more.loud_with_active, [*more.histogram])
        with guard("add_live"):
            await self._pool.execute(_LIVE, version, *figures)

    async def judged(self) -> JudgedVectors:
        """The newest alarms of values that people judged, as far as they have all features."""
        with guard("judged_alarms"):
            rows = await self._pool.fetch(_JUDGED)
        usable = [row for row in rows if set(row["features"]) == set(FEATURES)]
        return JudgedVectors(
            true_alarms=_vectors([row["features"] for row in usable if row["true_alarm"]]),
            false_alarms=_vectors([row["features"] for row in usable if not row["true_alarm"]]),
        )


def _vectors(features: "list[Mapping[str, float]]") -> Any:
    rows = [[each[name] for name in FEATURES] for each in features]
    return np.array(rows, dtype=np.float32).reshape(-1, len(FEATURES))


def _version(row: asyncpg.Record) -> ModelVersion:
    known = dict(row)
    samples, loud = known.pop("samples"), known.pop("loud_samples")
    both, histogram = known.pop("loud_with_active"), known.pop("histogram")
    live = (
        None
        if samples is None
        else Live(samples=samples, loud=loud, loud_with_active=both, histogram=histogram)
    )
    return ModelVersion(**(known | {"evaluation": evaluation_of(row["evaluation"]), "live": live}))
