"""Patterns of log lines, read."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from mesh.postgres import guard
from services.topology.model.reading import StoredPattern
from services.topology.store.ids import signed, unsigned

if TYPE_CHECKING:
    from mesh.postgres import Pool

Place = tuple[int, int]
"""Time of the last line in ms, pattern."""
FIRST: Final[Place] = ((1 << 63) - 1, (1 << 64) - 1)

_ALL: Final = """
SELECT pattern, name.service, name.name AS text, max(severity) AS severity, sum(lines) AS lines,
    min(first_ms) AS first_ms, max(last_ms) AS last_ms
FROM topology.pattern_lines JOIN topology.name ON name.kind = 3 AND name.id = pattern
"""
_LIST: Final = f"""
SELECT * FROM ({_ALL} WHERE $1 = '' OR name.service = $1 GROUP BY pattern, name.service, name.name)
WHERE severity >= $2 AND last_ms >= $3 AND first_ms >= $4 AND (last_ms, pattern) < ($5, $6::bigint)
ORDER BY last_ms DESC, pattern DESC LIMIT $7
"""  # noqa: S608 - of texts above
_THESE: Final = f"{_ALL} WHERE pattern = ANY($1) GROUP BY pattern, name.service, name.name"


class PatternStore:
    """Adds up what shards have counted."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def list(
        self,
        *,
        service: str,
        min_severity: int,
        seen_since_ms: int,
        first_since_ms: int,
        before: Place,
        size: int,
    ) -> list[StoredPattern]:
        """At most `size` patterns after the place `before`, last seen first."""
        conditions: Any = (service, min_severity, seen_since_ms, first_since_ms)
        with guard("list_patterns"):
            rows = await self._pool.fetch(
                _LIST, *conditions, before[0], _unshifted(before[1]), size
            )
        return [_pattern(row) for row in rows]

    async def these(self, patterns: Iterable[int]) -> dict[int, StoredPattern]:
        """Some patterns by id."""
        with guard("patterns"):
            rows = await self._pool.fetch(_THESE, [signed(each) for each in patterns])
        return {unsigned(row["pattern"]): _pattern(row) for row in rows}


def place_of(pattern: StoredPattern) -> Place:
    """Where the list goes on after a pattern; both numbers are positive."""
    return pattern.last_ms, signed(pattern.pattern) + (1 << 63)


def _unshifted(number: int) -> int:
    return min(number, (1 << 64) - 1) - (1 << 63)


def _pattern(row: asyncpg.Record) -> StoredPattern:
    known = dict(row)
    lines = int(known.pop("lines"))
    return StoredPattern(**{**known, "pattern": unsigned(row["pattern"])}, lines=lines)
