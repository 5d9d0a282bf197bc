"""Checkpoints of shards: states, cursor and anomalies move together or not at all."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import numpy as np
import numpy.typing as npt

from mesh.postgres import guard
from mesh.subscription import ShardLost
from services.detector.detectors.engine import FEATURES
from services.detector.model.budget import UNLIMITED, Budget
from services.detector.model.checkpoints import (
    Changes,
    Checkpoint,
    Episode,
    NewSeries,
    StoredSeries,
    Watched,
)
from services.detector.store.announcing import announce

if TYPE_CHECKING:
    from mesh.postgres import Pool

    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

logger = logging.getLogger(__name__)

_CLAIM: Final = """
INSERT INTO detector.shard (shard, epoch, holder) VALUES ($1, $2, $3)
ON CONFLICT (shard) DO UPDATE SET epoch = $2, holder = $3
WHERE shard.epoch <= $2
RETURNING cursor, processed_samples, collected_samples, watched_since_ms, watched_until_ms
"""
_SERIES: Final = """
SELECT row_number, series_id, labels, state, coalesce(warm, false) AS warm
FROM detector.series LEFT JOIN detector.series_state USING (shard, row_number)
WHERE shard = $1 ORDER BY row_number
"""
_TRAINING_ROWS: Final = """
SELECT features FROM detector.training_rows WHERE shard = $1 AND feature_names = $2
"""
_FENCE: Final = """
UPDATE detector.shard SET cursor = $4, processed_samples = $5, collected_samples = $6,
    series_count = $7, warm_series_count = $8, checkpoint_time = now(),
    watched_since_ms = $9, watched_until_ms = $10,
    start_time = coalesce(start_time, now())
WHERE shard = $1 AND epoch = $2 AND cursor = $3
"""
_ADD_SERIES: Final = """
INSERT INTO detector.series (shard, row_number, series_id, labels)
SELECT $1, * FROM unnest($2::integer[], $3::bigint[], $4::jsonb[])
"""
_FORGET_STATES: Final = """
DELETE FROM detector.series_state WHERE shard = $1 AND row_number = ANY($2::integer[])
"""
_FORGET_SERIES: Final = """
DELETE FROM detector.series WHERE shard = $1 AND row_number = ANY($2::integer[])
"""
_PUT_STATES: Final = """
INSERT INTO detector.series_state (shard, row_number, warm, state)
SELECT $1, * FROM unnest($2::integer[], $3::boolean[], $4::bytea[])
ON CONFLICT (shard, row_number) DO UPDATE SET warm = excluded.warm, state = excluded.state
"""
_PUT_TRAINING_ROWS: Final = """
INSERT INTO detector.training_rows (shard, feature_names, row_count, features)
VALUES ($1, $2, $3, $4)
ON CONFLICT (shard) DO UPDATE SET feature_names = $2, row_count = $3, features = $4
"""
_EPISODES: Final = """
SELECT source, series_id, since_warning_ms, since_critical_ms, said
FROM detector.open_episode WHERE shard = $1 ORDER BY source, series_id
"""
_PUT_EPISODES: Final = """
INSERT INTO detector.open_episode
    (shard, source, series_id, since_warning_ms, since_critical_ms, said)
SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[])
ON CONFLICT (shard, source, series_id) DO UPDATE SET
    since_warning_ms = excluded.since_warning_ms,
    since_critical_ms = excluded.since_critical_ms,
    said = excluded.said
"""
_END_EPISODES: Final = """
DELETE FROM detector.open_episode
USING unnest($2::text[], $3::bigint[]) AS ended (source, series_id)
WHERE shard = $1 AND open_episode.source = ended.source
    AND open_episode.series_id = ended.series_id
"""


class CheckpointStore:
    """The only writer of shard state and of anomalies."""

    def __init__(self, pool: "Pool", *, budget: Budget = UNLIMITED) -> None:
        """Borrows connections of `pool`; closes nothing.

        Args:
            pool: Of the service's own database.
            budget: What an installation may warn of.
        """
        self._pool = pool
        self._budget = budget

    async def claim(self, shard: int, epoch: int, holder: str) -> Checkpoint:
        """Takes the shard for `epoch` and returns where it stands; older holders are fenced off.

        Raises:
            ShardLost: A later epoch has it.
            Unavailable: The database does not answer.
        """
        with guard("claim_shard"):
            async with self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_CLAIM, shard, epoch, holder)
                if row is None:
                    raise ShardLost(f"shard {shard} was taken by a later epoch than {epoch}")
                return await _checkpoint(connection, shard, epoch, row)

    async def commit(self, changes: Changes) -> None:
        """Stores everything of `changes` in one transaction, or nothing.

        Raises:
            ShardLost: The shard is not at `from_cursor` of this epoch any more.
            Unavailable: The database does not answer; it MAY have been committed all the same.
        """
        with guard("commit_checkpoint"):
            async with self._pool.acquire() as connection, connection.transaction():
                await _move(connection, changes)
                await _put_series(connection, changes)
                await _put_episodes(connection, changes)
                await _put_training_rows(connection, changes)
                await announce(connection, changes.findings, changes.ends, self._budget)


async def _checkpoint(
    connection: "Connection", shard: int, epoch: int, row: asyncpg.Record
) -> Checkpoint:
    series = await connection.fetch(_SERIES, shard)
    episodes = await connection.fetch(_EPISODES, shard)
    features = await connection.fetchval(_TRAINING_ROWS, shard, list(FEATURES))
    return Checkpoint(
        shard=shard,
        epoch=epoch,
        cursor=row["cursor"],
        processed_samples=row["processed_samples"],
        collected_samples=row["collected_samples"],
        series=[StoredSeries(**each) for each in series],
        episodes=[Episode(**each) for each in episodes],
        training_rows=None if features is None else _from_bytes(features, shard),
        watched=_watched(row),
    )


def _watched(row: asyncpg.Record) -> Watched | None:
    since_ms, until_ms = row["watched_since_ms"], row["watched_until_ms"]
    return None if since_ms is None else Watched(since_ms=since_ms, until_ms=until_ms)


async def _move(connection: "Connection", changes: Changes) -> None:
    done = await connection.execute(
        _FENCE,
        changes.shard,
        changes.epoch,
        changes.from_cursor,
        changes.to_cursor,
        changes.processed_samples,
        changes.collected_samples,
        changes.series_count,
        changes.warm_series_count,
        changes.watched.since_ms if changes.watched else None,
        changes.watched.until_ms if changes.watched else None,
    )
    if done != "UPDATE 1":
        message = f"shard {changes.shard} is not at {changes.from_cursor} of epoch {changes.epoch}"
        raise ShardLost(message)


async def _put_series(connection: "Connection", changes: Changes) -> None:
    if changes.forgotten_rows:
        for statement in (_FORGET_STATES, _FORGET_SERIES):
            await connection.execute(statement, changes.shard, list(changes.forgotten_rows))
    if changes.new_series:
        await connection.execute(_ADD_SERIES, changes.shard, *_series_columns(changes.new_series))
    if changes.row_numbers:
        await connection.execute(
            _PUT_STATES, changes.shard, changes.row_numbers, changes.warm, changes.states
        )


def _series_columns(series: Sequence[NewSeries]) -> tuple[list[int], list[int], list[Any]]:
    return (
        [each.row_number for each in series],
        [each.series_id for each in series],
        [dict(each.labels) for each in series],
    )


async def _put_episodes(connection: "Connection", changes: Changes) -> None:
    if changes.ended_episodes:
        ended = [list(column) for column in zip(*changes.ended_episodes, strict=True)]
        await connection.execute(_END_EPISODES, changes.shard, *ended)
    if changes.episodes:
        rows = [
            (e.source, e.series_id, e.since_warning_ms, e.since_critical_ms, e.said)
            for e in changes.episodes
        ]
        columns = [list(column) for column in zip(*rows, strict=True)]
        await connection.execute(_PUT_EPISODES, changes.shard, *columns)


async def _put_training_rows(connection: "Connection", changes: Changes) -> None:
    rows = changes.training_rows
    if rows is not None:
        data = np.ascontiguousarray(rows, dtype="<f4").tobytes()
        names = list(FEATURES)
        await connection.execute(_PUT_TRAINING_ROWS, changes.shard, names, len(rows), data)


def _from_bytes(data: bytes, shard: int) -> npt.NDArray[np.float32] | None:
    """The rows; None when they are damaged: a shard goes on without them."""
    try:
        rows = np.frombuffer(data, dtype="<f4").reshape(-1, len(FEATURES)).astype(np.float32)
    except ValueError:
        logger.error("damaged training rows left aside", extra={"shard": shard})
        return None
    return rows if np.isfinite(rows).all() else None
