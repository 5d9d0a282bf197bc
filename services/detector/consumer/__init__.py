"""Samples in: shards held at ingest."""

from services.detector.consumer.consumer import Consumer
from services.detector.consumer.subscriber import SUBSCRIPTION, DetectorSubscriber

__all__ = ["SUBSCRIPTION", "Consumer", "DetectorSubscriber"]
