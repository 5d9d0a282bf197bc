"""Drops what is too old, in portions."""

from typing import TYPE_CHECKING, Final

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

AT_ONCE: Final = 5000

_DROPS: Final = {
    "minute": "DELETE FROM topology.minute WHERE ctid = ANY(ARRAY("
    "SELECT ctid FROM topology.minute WHERE minute < $1::bigint / 60 AND is_final LIMIT $2))",
    "hour": "DELETE FROM topology.hour WHERE ctid = ANY(ARRAY("
    "SELECT ctid FROM topology.hour WHERE hour < $1::bigint / 3600 LIMIT $2))",
    "example": "DELETE FROM topology.example WHERE ctid = ANY(ARRAY("
    "SELECT ctid FROM topology.example WHERE time_ms < $1::bigint * 1000 LIMIT $2))",
    "pattern": "DELETE FROM topology.pattern_lines WHERE ctid = ANY(ARRAY("
    "SELECT ctid FROM topology.pattern_lines WHERE last_ms < $1::bigint * 1000 LIMIT $2))",
    "name": "DELETE FROM topology.name WHERE ctid = ANY(ARRAY("
    "SELECT ctid FROM topology.name WHERE last_day < to_timestamp($1::bigint)::date LIMIT $2))",
    "instance": "DELETE FROM topology.instance WHERE ctid = ANY(ARRAY("
    "SELECT ctid FROM topology.instance WHERE last_seen < to_timestamp($1::bigint) LIMIT $2))",
}
_SURPLUS: Final = """
DELETE FROM topology.example WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM topology.example WHERE time_ms >= $1::bigint * 1000
    ORDER BY time_ms DESC, example_id DESC OFFSET $2))
"""


class RetentionStore:
    """Deletes by age."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def drop(self, kind: str, before_s: int) -> int:
        """At most `AT_ONCE` rows of a kind from before a second; how many there were."""
        with guard(f"drop_{kind}"):
            done = await self._pool.execute(_DROPS[kind], before_s, AT_ONCE)
        return int(done.removeprefix("DELETE "))

    async def drop_surplus(self, since_s: int, keep: int) -> int:
        """Examples stored since a second beyond the newest `keep`; how many there were."""
        with guard("drop_surplus"):
            done = await self._pool.execute(_SURPLUS, since_s, keep)
        return int(done.removeprefix("DELETE "))
