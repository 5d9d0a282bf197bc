"""Events as they are delivered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from mesh.subscription import Amount
from services.topology.model.events import Events
from services.topology.model.names import Example, Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Events of one shard as ingest handed them over.

    Attributes:
        cursor: Place in the log; resume after it.
        commit_s: When ingest committed it, in whole seconds: the clock of all decisions.
        size_bytes: What it costs of the credit in bytes.
        traceparents: Of the bodies inside.
    """

    shard: int
    epoch: int
    cursor: int
    commit_s: int
    events: Events
    names: Names
    examples: Sequence[Example]
    size_bytes: int
    traceparents: Sequence[str] = ()

    @property
    def amount(self) -> Amount:
        """What it takes of the credit."""
        return Amount(rows=len(self.events), size_bytes=self.size_bytes)


def by_second(deliveries: Sequence[Delivery]) -> Iterator[Delivery]:
    """Consecutive deliveries of a shard with those of one second as one, without their names."""
    for _, together in groupby(deliveries, lambda each: each.commit_s):
        parts = list(together)
        if len(parts) == 1:
            yield parts[0]
        else:
            yield replace(
                parts[-1],
                events=np.concatenate([each.events for each in parts]),
                examples=[example for each in parts for example in each.examples],
            )
