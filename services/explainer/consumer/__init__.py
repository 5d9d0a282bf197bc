"""Subjects in: alerts and anomalies that are explained without being asked for."""

from services.explainer.consumer.alerts import AlertConsumer
from services.explainer.consumer.anomalies import AnomalyConsumer

__all__ = ["AlertConsumer", "AnomalyConsumer"]
