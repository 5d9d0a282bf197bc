"""Examples of errors, read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.topology.model.reading import StoredExample
from services.topology.store.ids import signed, unsigned

if TYPE_CHECKING:
    from mesh.postgres import Pool

Place = tuple[int, str]
"""Time in ms, id."""
FIRST: Final[Place] = ((1 << 63) - 1, "")

_LIST: Final = """
SELECT example_id, service, name, type, message, frames, trace_id, span_id, time_ms, pattern
FROM topology.example
WHERE ($1::text[] IS NULL OR service = ANY($1)) AND ($2 = '' OR type = $2)
    AND ($3::bigint IS NULL OR pattern = $3) AND time_ms >= $4 AND time_ms < $5
    AND (time_ms, example_id) < ($6, $7)
ORDER BY time_ms DESC, example_id DESC LIMIT $8
"""


class ExampleStore:
    """Lists what shards have stored."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def list(
        self,
        *,
        services: Sequence[str] | None,
        exception_type: str = "",
        pattern: int | None = None,
        start_ms: int,
        end_ms: int,
        before: Place = FIRST,
        size: int,
    ) -> list[StoredExample]:
        """At most `size` examples after the place `before`, newest first."""
        with guard("list_examples"):
            rows = await self._pool.fetch(
                _LIST,
                services,
                exception_type,
                None if pattern is None else signed(pattern),
                start_ms,
                end_ms,
                *before,
                size,
            )
        return [StoredExample(**{**dict(row), "pattern": unsigned(row["pattern"])}) for row in rows]


def place_of(example: StoredExample) -> Place:
    """Where the list goes on after an example."""
    return example.time_ms, example.example_id
