"""How integrations are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mesh.postgres import guard
from services.notifier.store.rows import IntegrationKey

if TYPE_CHECKING:
    from mesh.postgres import Pool

_ALL: Final = """
SELECT i.receiver, i.integration, i.failures, i.last_error,
    coalesce((extract(epoch FROM i.open_until) * 1000)::bigint, 0) AS open_until_ms,
    coalesce(i.open_until > now(), false) AS is_open,
    coalesce((extract(epoch FROM i.last_success) * 1000)::bigint, 0) AS last_success_ms
FROM notifier.integration i
"""
_WAITING: Final = """
SELECT receiver, integration, count(*) AS waiting,
    extract(epoch FROM max(now() - ready_time))::double precision AS oldest_s
FROM notifier.notice WHERE state IN ('pending', 'sending') GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayState:
    """What is known of one. Times are Unix milliseconds, 0 for none."""

    failures: int = 0
    last_error: str = ""
    open_until_ms: int = 0
    is_open: bool = False
    last_success_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What waits for one; `oldest_s` is since when the oldest is due."""

    waiting: int = 0
    oldest_s: float = 0.0


class IntegrationStore:
    """Questions about integrations."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def states(self) -> dict[IntegrationKey, WayState]:
        """Those that were ever used."""
        with guard("list_ways"):
            rows = await self._pool.fetch(_ALL)
        return {_way(row): WayState(**_rest(row)) for row in map(dict, rows)}

    async def queues(self) -> dict[IntegrationKey, Queue]:
        """Those for which something waits."""
        with guard("count_waiting"):
            rows = await self._pool.fetch(_WAITING)
        return {_way(row): Queue(**_rest(row)) for row in map(dict, rows)}


def _way(row: dict[str, object]) -> IntegrationKey:
    return IntegrationKey(receiver=str(row["receiver"]), integration=str(row["integration"]))


def _rest(row: dict[str, object]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("receiver", "integration")}
