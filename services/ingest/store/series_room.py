"""How many new series there is room for: of the installation, and of each caller."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.ingest.store.transaction import Connection

_READ: Final = "SELECT caller, series_count FROM ingest.caller WHERE caller = ANY($1)"
_SAVE: Final = """
INSERT INTO ingest.caller (caller, series_count)
SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (caller) DO UPDATE SET series_count = caller.series_count + excluded.series_count
"""


class SeriesRoom:
    """Room that is left. The caller of each method holds the lock of the log."""

    def __init__(self, left: int, of_caller: dict[str, int]) -> None:
        """`left` in all, and of each caller."""
        self._left = left
        self._of_caller = of_caller
        self.made: dict[str, int] = {}

    @classmethod
    async def of(
        cls, connection: "Connection", callers: Collection[str], *, left: int, most: int
    ) -> "SeriesRoom":
        """Each caller may have `most` series; asks nothing for no callers."""
        rows = await connection.fetch(_READ, list(callers)) if callers else []
        counts = {row["caller"]: row["series_count"] for row in rows}
        return cls(left, {caller: most - counts.get(caller, 0) for caller in callers})

    def left(self, caller: str) -> int:
        """How many new series this caller may bring now."""
        return max(0, min(self._left, self._of_caller[caller]))

    def take(self, caller: str, made: int) -> None:
        """Notes new series."""
        self._left -= made
        self._of_caller[caller] -= made
        if made:
            self.made[caller] = self.made.get(caller, 0) + made

    async def save(self, connection: "Connection") -> None:
        """Writes what was taken."""
        if self.made:
            await connection.execute(_SAVE, list(self.made), list(self.made.values()))
