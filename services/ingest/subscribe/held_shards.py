"""The shards that one stream holds: where each stands, and what was acked."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.ingest.model.samples import Heads
from services.ingest.model.subscription import HeldShard, Lag
from services.ingest.store.leases import AckedShard
from services.ingest.subscribe.frames import ShardStart


@dataclass(slots=True)
class _Shard:
    epoch: int
    acked: int
    acked_total: int
    place: int = 0
    started: bool = False
    delivered: deque[tuple[int, int]] = field(default_factory=deque)
    """Position and total of each delivery that is not acked."""


class HeldShards:
    """Book-keeping of one stream; no I/O."""

    def __init__(self) -> None:
        """Holds nothing."""
        self._by_number: dict[int, _Shard] = {}
        self._unsaved: dict[int, AckedShard] = {}
        self.revoking: set[int] = set()

    def add(self, held: HeldShard) -> None:
        """A shard was assigned."""
        self._by_number[held.shard] = _Shard(held.epoch, held.acked, held.acked_total)
        self.revoking.discard(held.shard)

    def remove(self, shard: int) -> None:
        """A shard is not held any more."""
        self._by_number.pop(shard, None)
        self.revoking.discard(shard)

    def lost(self, held: Mapping[int, int]) -> list[int]:
        """Shards of ours that the database gives to us no more, under our epoch."""
        return [n for n, shard in self._by_number.items() if held.get(n) != shard.epoch]

    def unknown(self, held: Mapping[int, int]) -> list[int]:
        """Shards the database gives to us that we do not know of: an answer was lost."""
        return [n for n in held if n not in self._by_number]

    def all(self) -> list[int]:
        """Every shard that is held."""
        return list(self._by_number)

    def is_held(self, shard: int, epoch: int) -> bool:
        """Whether this is the present assignment of a shard."""
        found = self._by_number.get(shard)
        return found is not None and found.epoch == epoch

    def epoch(self, shard: int) -> int:
        """Epoch of a held shard."""
        return self._by_number[shard].epoch

    def start(self, frame: ShardStart) -> None:
        """Begins deliveries; a stale epoch is ignored."""
        if self.is_held(frame.shard, frame.epoch):
            shard = self._by_number[frame.shard]
            shard.place = shard.acked if frame.after is None else frame.after
            shard.started = True
            shard.delivered.clear()

    def places(self) -> dict[int, int]:
        """Where each started shard stands."""
        return {n: shard.place for n, shard in self._by_number.items() if shard.started}

    def place(self, shard: int) -> int | None:
        """Where one started shard stands; None when it is not held or not started."""
        found = self._by_number.get(shard)
        return found.place if found and found.started else None

    def skip(self, shard: int, place: int) -> None:
        """Goes on after a gap."""
        self._by_number[shard].place = place

    def delivered(self, shard: int, place: int, total: int) -> None:
        """Notes a delivery."""
        found = self._by_number[shard]
        found.place = place
        found.delivered.append((place, total))

    def ack(self, shard: int, place: int) -> None:
        """Notes progress up to a position; that of a shard not held is ignored."""
        found = self._by_number.get(shard)
        if found is None:
            return
        while found.delivered and found.delivered[0][0] <= place:
            found.acked, found.acked_total = found.delivered.popleft()
            self._unsaved[shard] = AckedShard(shard, found.epoch, found.acked, found.acked_total)

    def unsaved(self) -> list[AckedShard]:
        """Progress since the last call."""
        taken, self._unsaved = list(self._unsaved.values()), {}
        return taken

    def restore(self, acked: Iterable[AckedShard]) -> None:
        """Puts progress back that could not be saved."""
        self._unsaved = {each.shard: each for each in acked} | self._unsaved

    def lags(self, heads: Heads) -> list[Lag]:
        """How far each held shard is behind."""
        return [
            Lag(
                n,
                heads.offsets[n],
                shard.place if shard.started else shard.acked,
                max(0, heads.totals[n] - shard.acked_total),
            )
            for n, shard in sorted(self._by_number.items())
        ]
