"""Alerts in: changes merged into episodes, subscribers woken."""
