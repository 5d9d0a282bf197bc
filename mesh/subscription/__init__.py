"""Holding shards of a log of ingest: Subscribe in mode SHARDED, as a client."""

from mesh.subscription.credit import Amount, Credit
from mesh.subscription.subscriber import Committed, ShardLost, Subscriber
from mesh.subscription.subscription import Subscription

__all__ = ["Amount", "Committed", "Credit", "ShardLost", "Subscriber", "Subscription"]
