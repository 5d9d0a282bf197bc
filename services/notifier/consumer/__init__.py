"""Follows the log of incidents."""

from services.notifier.consumer.incidents import IncidentConsumer

__all__ = ["IncidentConsumer"]
