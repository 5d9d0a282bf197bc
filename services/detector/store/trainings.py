"""Trainings that were asked for."""

from typing import TYPE_CHECKING, Final

import asyncpg

from mesh import audit
from mesh.postgres import guard
from services.detector.model.model_life import Stage, Training

if TYPE_CHECKING:
    from mesh.postgres import Pool

WAITING_MAX: Final = 10

_COLUMNS: Final = "request_id, trigger, stage, progress, message, version"
_ASK: Final = """
INSERT INTO detector.training (request_id, trigger)
SELECT $1, $2 WHERE (SELECT count(*) FROM detector.training WHERE stage < 4) < $3
ON CONFLICT (request_id) DO NOTHING
"""
_NEXT: Final = f"""
SELECT {_COLUMNS} FROM detector.training WHERE stage < 4 ORDER BY created_at, request_id LIMIT 1
"""  # noqa: S608
_PUT: Final = """
UPDATE detector.training SET stage = $2, progress = $3, message = $4, version = $5,
    updated_at = now()
WHERE request_id = $1
"""


class TrainingStore:
    """The queue of trainings: anybody asks, the leader works."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def ask(self, request_id: str, trigger: str) -> bool:
        """Asks for a training; False when that was asked for before, or `WAITING_MAX` wait."""
        with guard("ask_training"):
            async with self._pool.acquire() as connection, connection.transaction():
                done = await connection.execute(_ASK, request_id, trigger, WAITING_MAX)
                is_new = bool(done == "INSERT 0 1")
                if is_new:
                    detail = audit.changes(None, {"trigger": trigger})
                    await audit.append(
                        connection,
                        "detector",
                        action="model.train",
                        subject=request_id,
                        detail=detail,
                    )
        return is_new

    async def find(self, request_id: str) -> Training | None:
        """How far a training is."""
        with guard("get_training"):
            query = f"SELECT {_COLUMNS} FROM detector.training WHERE request_id = $1"  # noqa: S608
            return _training(await self._pool.fetchrow(query, request_id))

    async def next(self) -> Training | None:
        """The oldest that is not finished; one that its leader left behind is among them."""
        with guard("next_training"):
            return _training(await self._pool.fetchrow(_NEXT))

    async def tell(
        self, request_id: str, stage: Stage, progress: float, message: str, version: int = 0
    ) -> None:
        """Says how far it is."""
        with guard("tell_training"):
            await self._pool.execute(_PUT, request_id, stage, progress, message, version)


def _training(row: asyncpg.Record | None) -> Training | None:
    if row is None:
        return None
    return Training(**(dict(row) | {"stage": Stage(row["stage"])}))
