"""Versions of the model, and what the first one is trained from."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import numpy as np
import numpy.typing as npt

from mesh.errors import Conflict, Unavailable
from mesh.postgres import give_up, guard
from services.detector.detectors.engine import FEATURES, Forest
from services.detector.model.model_life import JudgedVectors
from services.detector.model.models import ActiveModel, TrainedModel, WarmUp
from services.detector.store.versions import VersionStore

if TYPE_CHECKING:
    from mesh.postgres import Pool

_LEADER_LOCK: Final = 0x4D4F444C

_ACTIVE_VERSION: Final = """
SELECT version FROM detector.model WHERE active AND feature_names = $1
"""
_SHADOW_VERSION: Final = """
SELECT version FROM detector.model WHERE shadow AND feature_names = $1
"""
_NEWEST: Final = """
SELECT version FROM detector.model WHERE feature_names = $1 ORDER BY version DESC LIMIT 100
"""
_ARTIFACT: Final = """
SELECT artifact, artifact_sha256, loud FROM detector.model WHERE version = $1
"""
_WARM_UP: Final = """
SELECT coalesce(sum(collected_samples), 0)::bigint AS collected_samples,
    min(start_time) AS start_time, max(checkpoint_time) AS end_time,
    coalesce(extract(epoch FROM now() - min(start_time)), 0)::float8 AS waited_s
FROM detector.shard
"""
_ROWS: Final = """
SELECT features FROM detector.training_rows WHERE feature_names = $1 ORDER BY shard
"""
_RETIRE: Final = "UPDATE detector.model SET active = false WHERE active"
_LEAVE_SHADOW: Final = "UPDATE detector.model SET shadow = false WHERE shadow"
_ADD: Final = """
INSERT INTO detector.model (version, feature_names, artifact, artifact_sha256, training_samples,
    training_start, training_end, parameters, trigger, score_histogram, loud, active, shadow,
    activated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, NOT $12,
    CASE WHEN $12 THEN now() END)
"""


class ModelStore:
    """Questions about models. A model of other features than this build's is not seen as active."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def active_version(self) -> int:
        """Version that scores now; 0 when there is none for these features."""
        with guard("active_model"):
            return int(await self._pool.fetchval(_ACTIVE_VERSION, list(FEATURES)) or 0)

    async def shadow_version(self) -> int:
        """Version that scores in the shadow; 0 when there is none for these features."""
        with guard("shadow_model"):
            return int(await self._pool.fetchval(_SHADOW_VERSION, list(FEATURES)) or 0)

    async def judged(self) -> JudgedVectors:
        """The alarms that people judged."""
        return await VersionStore(self._pool).judged()

    async def latest_version(self) -> int:
        """The highest version, active or not; 0 when there is none."""
        with guard("latest_model"):
            query = "SELECT coalesce(max(version), 0) FROM detector.model"
            return int(await self._pool.fetchval(query))

    async def newest_versions(self) -> list[int]:
        """The newest versions for these features, active or not; the newest first."""
        with guard("newest_models"):
            rows = await self._pool.fetch(_NEWEST, list(FEATURES))
        return [row["version"] for row in rows]

    async def load(self, version: int) -> ActiveModel:
        """Reads a stored model.

        Raises:
            ValueError: Its artifact is damaged or was made for other features.
        """
        with guard("load_model"):
            row = await self._pool.fetchrow(_ARTIFACT, version)
        if row is None or hashlib.sha256(row["artifact"]).digest() != row["artifact_sha256"]:
            raise ValueError(f"model {version} is gone or its artifact does not match its hash")
        forest = Forest.from_bytes(row["artifact"], names=FEATURES)
        return ActiveModel(version=version, forest=forest, loud=row["loud"])

    async def add_and_activate(self, model: TrainedModel, version: int) -> None:
        """Stores `model` as `version` and makes it the active one, in one transaction.

        Raises:
            Conflict: The version exists: another trainer was faster.
        """
        await self._add(model, version, active=True)

    async def add_shadow(self, model: TrainedModel, version: int) -> None:
        """Stores `model` as `version`, which scores in the shadow instead of any before it.

        Raises:
            Conflict: The version exists: another trainer was faster.
        """
        await self._add(model, version, active=False)

    async def _add(self, model: TrainedModel, version: int, *, active: bool) -> None:
        with guard("add_model"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_RETIRE if active else _LEAVE_SHADOW)
                try:
                    await connection.execute(_ADD, version, *_columns(model), active)
                except asyncpg.UniqueViolationError as error:
                    raise Conflict(f"model version {version} exists") from error

    async def warm_up(self) -> WarmUp:
        """How far the collection for the first model is."""
        with guard("warm_up"):
            rows = await self._pool.fetch(_WARM_UP)
        return WarmUp(**rows[0])

    async def training_rows(self) -> npt.NDArray[np.float32]:
        """Feature vectors that all shards kept, float32[n, F], always in the same order."""
        with guard("training_rows"):
            rows = await self._pool.fetch(_ROWS, list(FEATURES))
        data = b"".join(row["features"] for row in rows)
        return np.frombuffer(data, dtype="<f4").reshape(-1, len(FEATURES)).astype(np.float32)

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[bool]:
        """Whether this process leads, for the block; one process of all detectors does.

        A leader that lost its connection meanwhile is stopped by the version it stores.
        """
        with guard("lead"):
            connection = await self._pool.acquire()
            try:
                leads = await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LEADER_LOCK)
            except BaseException:
                give_up(connection)  # and the lock with it, should it have been given
                await self._pool.release(connection)
                raise
        try:
            yield bool(leads)
        finally:
            await self._give_up_lead(connection, leads=bool(leads))

    async def _give_up_lead(self, connection: Any, *, leads: bool) -> None:
        """The lock is the session's, and the session goes on in the pool.

        A connection that was lost took the lock with it: that is no error, which would hide the
        one, or the cancellation, that ends the block.
        """
        try:
            if leads:
                with guard("lead"):
                    await connection.execute("SELECT pg_advisory_unlock($1)", _LEADER_LOCK)
        except (Unavailable, asyncpg.InterfaceError):
            give_up(connection)
        finally:
            await self._pool.release(connection)


def _columns(model: TrainedModel) -> tuple[object, ...]:
    return (
        list(FEATURES),
        model.artifact,
        hashlib.sha256(model.artifact).digest(),
        model.training_samples,
        model.training_start,
        model.training_end,
        dict(model.parameters),
        model.trigger,
        list(model.score_histogram),
        model.loud,
    )
