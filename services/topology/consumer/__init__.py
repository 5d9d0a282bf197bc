"""Events in: shards held at ingest."""

from services.topology.consumer.subscriber import SUBSCRIPTION, TopologySubscriber

__all__ = ["SUBSCRIPTION", "TopologySubscriber"]
