"""Samples in: the Subscribe client."""

from services.detector.consumer.consumer import SUBSCRIPTION, Consumer

__all__ = ["SUBSCRIPTION", "Consumer"]
