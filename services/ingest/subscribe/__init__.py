"""Handing samples and alerts on: sessions, who holds which shard, credit, deliveries."""

from services.ingest.subscribe.subscriptions import Subscriptions

__all__ = ["Subscriptions"]
