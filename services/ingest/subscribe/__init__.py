"""Handing samples and alerts on: sessions, who holds which shard, credit, deliveries."""
