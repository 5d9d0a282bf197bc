"""Dictionaries: what ids stand for, and which instances there are."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cachetools import LRUCache

from mesh.postgres import guard
from services.topology.model.names import Instance, Named, Names
from services.topology.store.ids import signed, unsigned

if TYPE_CHECKING:
    from mesh.postgres import Pool

OPERATION: Final = 1
ADDRESS: Final = 2
PATTERN: Final = 3
EXCEPTION: Final = 4

_DAY_S: Final = 86_400
_SEEN_AGAIN_S: Final = 20
_MOST_KNOWN: Final = 50_000
"""Then all is forgotten, and written once more: ids are small, texts are not kept."""
_MOST_READ: Final = 10_000
"""Names that are kept to answer questions: what an id stands for never changes."""

_PUT: Final = """
INSERT INTO topology.name AS known (kind, id, service, name, last_day)
SELECT $1, id, service, name, $5 FROM unnest($2::bigint[], $3::text[], $4::text[])
    AS given (id, service, name) ORDER BY id
ON CONFLICT (kind, id) DO UPDATE SET last_day = excluded.last_day
WHERE known.last_day < excluded.last_day
"""
_PUT_INSTANCES: Final = """
INSERT INTO topology.instance AS known
    (id, service, version, instance, environment, first_seen, last_seen)
SELECT id, service, version, instance, environment, to_timestamp(first), to_timestamp(last)
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
    $7::bigint[]) AS given (id, service, version, instance, environment, first, last) ORDER BY id
ON CONFLICT (id) DO UPDATE SET first_seen = least(known.first_seen, excluded.first_seen),
    last_seen = greatest(known.last_seen, excluded.last_seen)
WHERE known.last_seen < excluded.last_seen OR known.first_seen > excluded.first_seen
"""
_GET: Final = "SELECT id, service, name FROM topology.name WHERE kind = $1 AND id = ANY($2)"


class NameStore:
    """Written before the counts that name them; to write them twice changes nothing."""

    def __init__(self, pool: "Pool") -> None:
        """Knows of nothing that it is stored."""
        self._pool = pool
        self._lock = asyncio.Lock()
        self._days: dict[tuple[int, int], int] = {}
        self._seen: dict[int, int] = {}
        self._new: dict[tuple[int, int], tuple[Named, int]] = {}
        self._new_instances: dict[int, tuple[Instance, int, int]] = {}
        self._read: LRUCache[tuple[int, int], Named] = LRUCache(_MOST_READ)

    def offer(self, names: Names, second: int) -> None:
        """Takes names that came at a second of the log; `flush` stores what is new of them."""
        day = second // _DAY_S
        for kind, known in names.by_kind().items():
            for number, named in known.items():
                if self._days.get((kind, number), -1) < day:
                    self._new[kind, number] = (named, day)
        for number, instance in names.instances.items():
            if self._seen.get(number, -_DAY_S) + _SEEN_AGAIN_S <= second:
                first = self._new_instances.get(number, (instance, second, second))[1]
                self._new_instances[number] = (instance, min(first, second), second)

    async def flush(self) -> None:
        """Stores what was offered and is new.

        Raises:
            Unavailable: Try again; what was offered is kept.
        """
        async with self._lock:
            if self._new:
                await self._store()
            if self._new_instances:
                await self._store_instances()
            if len(self._days) > _MOST_KNOWN:
                self._days.clear()
            if len(self._seen) > _MOST_KNOWN:
                self._seen.clear()

    async def named(self, kind: int, ids: Iterable[int]) -> Mapping[int, Named]:
        """What some ids stand for; those that are not known are left out."""
        found, asked = dict[int, Named](), list[int]()
        for each in ids:
            known = self._read.get((kind, each))
            if known is None:
                asked.append(signed(each))
            else:
                found[each] = known
        if asked:
            with guard("names"):
                rows = await self._pool.fetch(_GET, kind, asked)
            for row in rows:
                number, named = unsigned(row["id"]), Named(row["service"], row["name"])
                found[number] = self._read[kind, number] = named
        return found

    async def _store(self) -> None:
        new = dict(self._new)
        by_kind_and_day: dict[tuple[int, int], list[tuple[int, Named]]] = {}
        for (kind, number), (named, day) in new.items():
            by_kind_and_day.setdefault((kind, day), []).append((number, named))
        with guard("put_names"):
            for (kind, day), names in sorted(by_kind_and_day.items()):
                await self._pool.execute(
                    _PUT,
                    kind,
                    [signed(number) for number, _ in names],
                    [named.service for _, named in names],
                    [named.name for _, named in names],
                    datetime.fromtimestamp(day * _DAY_S, UTC).date(),
                )
        for key, (_, day) in new.items():
            self._days[key] = max(day, self._days.get(key, -1))
        _drop(self._new, new)

    async def _store_instances(self) -> None:
        new = dict(self._new_instances)
        with guard("put_instances"):
            await self._pool.execute(
                _PUT_INSTANCES,
                list(new),
                [each.service for each, _, _ in new.values()],
                [each.version for each, _, _ in new.values()],
                [each.instance for each, _, _ in new.values()],
                [each.environment for each, _, _ in new.values()],
                [first for _, first, _ in new.values()],
                [last for _, _, last in new.values()],
            )
        for number, (_, _, second) in new.items():
            self._seen[number] = max(second, self._seen.get(number, 0))
        _drop(self._new_instances, new)


def _drop(offered: dict[Any, Any], stored: Mapping[Any, Any]) -> None:
    """What was offered anew meanwhile stays."""
    for key, value in stored.items():
        if offered.get(key) is value:
            del offered[key]
