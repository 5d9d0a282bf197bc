"""What is known of metrics: type, unit and meaning."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.ingest.model.metadata import Known, Metadata, MetricType

if TYPE_CHECKING:
    from mesh.postgres import Pool

_MOST: Final = 100_000
_MOST_OF_CALLER: Final = 50_000
_SAVE: Final = """
INSERT INTO ingest.metric (name, type, unit, help, caller)
SELECT name, type, unit, help, $5 FROM (
    SELECT given.*, known.name IS NULL AS is_new,
           row_number() OVER (PARTITION BY known.name IS NULL ORDER BY given.name) AS place
    FROM unnest($1::text[], $2::smallint[], $3::text[], $4::text[])
         AS given (name, type, unit, help)
    LEFT JOIN ingest.metric AS known USING (name)
) AS given
WHERE NOT is_new OR place <= least(
    $6 - (SELECT count(*) FROM ingest.metric),
    $7 - (SELECT count(*) FROM ingest.metric WHERE caller = $5)
)
ORDER BY name
ON CONFLICT (name) DO UPDATE
SET type = excluded.type, unit = excluded.unit, help = excluded.help, update_time = now()
WHERE (metric.type, metric.unit, metric.help) <> (excluded.type, excluded.unit, excluded.help)
"""
_LIST: Final = """
SELECT name, type, unit, help, update_time FROM ingest.metric
WHERE name > $1 AND ($2 = '' OR name = $2) ORDER BY name LIMIT $3
"""
_LIST_CHANGED: Final = """
SELECT name, type, unit, help, update_time FROM ingest.metric
WHERE name > $1 AND ($2 = '' OR name = $2)
    AND update_time >= timestamptz 'epoch' + $4::bigint * interval '1 millisecond'
ORDER BY name LIMIT $3
"""


class MetadataStore:
    """Keeps the newest word on each metric, of at most 100,000; of them half from one caller."""

    def __init__(
        self, pool: "Pool", *, most: int = _MOST, most_of_caller: int = _MOST_OF_CALLER
    ) -> None:
        """At most `most` metrics are described, and `most_of_caller` by one caller first."""
        self._pool = pool
        self._most = most
        self._most_of_caller = most_of_caller

    async def save(self, caller: str, metrics: Sequence[Metadata]) -> None:
        """Writes what is new, no name twice. Without room for new names, those known still change.

        Raises:
            Unavailable: Nothing was written.
        """
        rows = sorted(metrics, key=lambda each: each.name)  # two processes never wait for another
        with guard("save_metadata"):
            await self._pool.execute(
                _SAVE,
                [each.name for each in rows],
                [each.type.value for each in rows],
                [each.unit for each in rows],
                [each.help for each in rows],
                caller,
                self._most,
                self._most_of_caller,
            )

    async def page(
        self, name: str, after: str, limit: int, changed_since_ms: int | None = None
    ) -> list[Known]:
        """Metrics by name from behind `after`; with a `name` that one alone.

        With `changed_since_ms` those of which something was said or changed then or later.
        """
        with guard("list_metadata"):
            if changed_since_ms is None:
                rows = await self._pool.fetch(_LIST, after, name, limit)
            else:
                rows = await self._pool.fetch(_LIST_CHANGED, after, name, limit, changed_since_ms)
        return [
            Known(
                Metadata(row["name"], MetricType(row["type"]), row["unit"], row["help"]),
                row["update_time"],
            )
            for row in rows
        ]
