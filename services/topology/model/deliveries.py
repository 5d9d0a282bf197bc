"""Events as they are delivered."""

from collections.abc import Sequence
from dataclasses import dataclass

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
