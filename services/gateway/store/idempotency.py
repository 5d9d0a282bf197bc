"""Which body an Idempotency-Key stands for."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_CLAIM: Final = """
    INSERT INTO gateway.idempotency_key AS known (key_id, body_digest, seen_at)
    VALUES ($1, $2, now())
    ON CONFLICT (key_id) DO UPDATE SET
        body_digest = CASE WHEN known.seen_at < now() - $3::interval
                           THEN excluded.body_digest ELSE known.body_digest END,
        seen_at = CASE WHEN known.seen_at < now() - $3::interval
                       THEN excluded.seen_at ELSE known.seen_at END
    RETURNING body_digest = $2"""
_PURGE: Final = "DELETE FROM gateway.idempotency_key WHERE seen_at < now() - $1::interval"
_REMEMBERED: Final = timedelta(days=2)
"""As long as ingest remembers a sequence: today and yesterday."""


class IdempotencyStore:
    """Binds a key to the first body that it comes with."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool

    async def claim(self, key_id: str, body_digest: bytes) -> bool:
        """Whether the key stands for this body: from now on, or since before."""
        with guard("claim_idempotency_key"):
            return bool(await self._pool.fetchval(_CLAIM, key_id, body_digest, _REMEMBERED))

    async def purge(self) -> None:
        """Drops keys whose batches are forgotten."""
        with guard("purge_idempotency_keys"):
            await self._pool.execute(_PURGE, _REMEMBERED)
