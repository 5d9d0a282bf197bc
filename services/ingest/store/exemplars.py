"""Exemplars as rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.ingest.model.exemplars import Exemplar

if TYPE_CHECKING:
    from mesh.postgres import Pool

_SAVE: Final = """
INSERT INTO ingest.exemplar AS kept (family, slot, time_ms, value, trace_id, span_id)
SELECT * FROM unnest(
    $1::bytea[], $2::smallint[], $3::bigint[], $4::float8[], $5::text[], $6::text[])
ON CONFLICT (family, slot) DO UPDATE
SET time_ms = excluded.time_ms, value = excluded.value,
    trace_id = excluded.trace_id, span_id = excluded.span_id
WHERE (excluded.time_ms / 60000, excluded.value) > (kept.time_ms / 60000, kept.value)
"""
_OF_FAMILIES: Final = """
SELECT family, time_ms, value, trace_id, span_id FROM ingest.exemplar
WHERE family = ANY($1) AND time_ms >= $2 AND time_ms < $3
ORDER BY time_ms
"""


class ExemplarStore:
    """Keeps of each family and minute the greatest, for as long as an hour has minutes."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def save(self, exemplars: Sequence[Exemplar]) -> None:
        """Writes them, at most one of a family and slot; a greater one of that minute stays.

        Raises:
            Unavailable: Nothing was written.
        """
        rows = sorted(exemplars, key=lambda each: (each.family, each.slot))
        with guard("save_exemplars"):  # sorted: two processes never wait for each other
            await self._pool.execute(
                _SAVE,
                [each.family for each in rows],
                [each.slot for each in rows],
                [each.time_ms for each in rows],
                [each.value for each in rows],
                [each.trace_id for each in rows],
                [each.span_id for each in rows],
            )

    async def of_families(
        self, families: Sequence[bytes], start_ms: int, end_ms: int
    ) -> list[Exemplar]:
        """Those measured from `start_ms` up to `end_ms`, oldest first."""
        with guard("exemplars_of_families"):
            rows = await self._pool.fetch(_OF_FAMILIES, families, start_ms, end_ms)
        return [Exemplar(**dict(row)) for row in rows]
