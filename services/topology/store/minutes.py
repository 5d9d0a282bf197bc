"""What was counted, read: minutes and hours of a span of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_STANDING: Final = """
SELECT coalesce(min(final_before), 0) AS final_before,
    coalesce(min(rolled_before), 0) AS rolled_before, coalesce(max(second), 0) AS second,
    count(*) AS shards
FROM topology.shard
"""
_READ: Final = """
SELECT hour AS number, true AS is_hour, content FROM topology.hour WHERE hour = ANY($1::bigint[])
UNION ALL
SELECT minute, false, content FROM topology.minute WHERE minute = ANY($2::bigint[])
"""
_UNROLLED: Final = """
SELECT shard, final_before / 60 AS until, ARRAY(
    SELECT DISTINCT minute / 60 FROM topology.minute
    WHERE minute.shard = shard.shard AND minute >= rolled_before * 60
        AND minute < final_before / 60 * 60
    ORDER BY 1) AS hours
FROM topology.shard WHERE rolled_before < final_before / 60 ORDER BY shard
"""
_CONTENTS: Final = """
SELECT content FROM topology.minute
WHERE shard = $1 AND minute >= $2 * 60 AND minute < $2 * 60 + 60 AND is_final ORDER BY minute
"""
_PUT_HOUR: Final = """
INSERT INTO topology.hour (hour, shard, content) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
_ROLLED: Final = """
UPDATE topology.shard SET rolled_before = $2 WHERE shard = $1 AND rolled_before < $2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far all shards are.

    Attributes:
        final_before: Minutes before this one are final.
        rolled_before: Hours before this one are rolled up.
        second: The clock of the log.
        shards: Of how many anything was ever counted.
    """

    final_before: int
    rolled_before: int
    second: int
    shards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursToRollUp:
    """Hours of a shard, all before `until`, that are final, not rolled up, and hold anything."""

    shard: int
    hours: Sequence[int]
    until: int


class MinuteStore:
    """Reads what shards have counted; writes hours alone."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def standing(self) -> Standing:
        """How far all shards are."""
        with guard("standing"):
            row = (await self._pool.fetch(_STANDING))[0]
        return Standing(**row)

    async def contents(
        self, hours: Sequence[int], minutes: Sequence[int]
    ) -> dict[tuple[int, bool], list[bytes]]:
        """What each shard counted in them, as it is packed, by number and whether it is an hour."""
        found: dict[tuple[int, bool], list[bytes]] = {}
        if hours or minutes:
            with guard("read_minutes"):
                rows = await self._pool.fetch(_READ, hours, minutes)
            for row in rows:
                found.setdefault((row["number"], row["is_hour"]), []).append(row["content"])
        return found

    async def unrolled(self) -> list[HoursToRollUp]:
        """What can be rolled up now."""
        with guard("unrolled"):
            rows = await self._pool.fetch(_UNROLLED)
        return [HoursToRollUp(**row) for row in rows]

    async def of_hour(self, shard: int, hour: int) -> list[bytes]:
        """The minutes of one hour, which are final."""
        with guard("minutes_of_hour"):
            rows = await self._pool.fetch(_CONTENTS, shard, hour)
        return [row["content"] for row in rows]

    async def put_hour(self, shard: int, hour: int, content: bytes) -> None:
        """Stores an hour; to do it twice changes nothing."""
        with guard("put_hour"):
            await self._pool.execute(_PUT_HOUR, hour, shard, content)

    async def rolled(self, shard: int, until: int) -> None:
        """All hours of a shard before `until` are stored."""
        with guard("rolled_hours"):
            await self._pool.execute(_ROLLED, shard, until)
