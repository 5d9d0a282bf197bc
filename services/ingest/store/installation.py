"""What is fixed once for an installation, and how far its log has come."""

from typing import TYPE_CHECKING, Final

from mesh.config import ConfigError
from mesh.postgres import guard
from services.ingest.model.samples import Heads

if TYPE_CHECKING:
    from mesh.postgres import Pool

_CREATE: Final = """
INSERT INTO ingest.head (shard_count, shard_offsets, shard_totals)
SELECT size, array_fill(0::bigint, ARRAY[size]), array_fill(0::bigint, ARRAY[size])
FROM (VALUES ($1::integer)) AS asked (size)
ON CONFLICT DO NOTHING
"""
_FIXED: Final = "SELECT shard_count, installation FROM ingest.head"
_HEADS: Final = "SELECT last_offset, shard_offsets, shard_totals FROM ingest.head"


class Installation:
    """The row that all ingest processes share."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def prepare(self, shard_count: int) -> str:
        """Fixes the number of shards at the first start of an installation.

        Returns:
            The id of the installation, made at its first start.

        Raises:
            ConfigError: An earlier start has fixed another number.
        """
        with guard("prepare"):
            await self._pool.execute(_CREATE, shard_count)
            row = (await self._pool.fetch(_FIXED))[0]
        fixed = row["shard_count"]
        if fixed != shard_count:
            raise ConfigError(
                f"SENSUS_SHARD_COUNT is {shard_count}, but this database has {fixed} shards: "
                f"set it to {fixed}"
            )
        return str(row["installation"].hex)

    async def heads(self) -> Heads:
        """The newest committed positions."""
        with guard("heads"):
            row = (await self._pool.fetch(_HEADS))[0]
        return Heads(
            last_offset=row["last_offset"],
            offsets=row["shard_offsets"],
            totals=row["shard_totals"],
        )
