"""Puts alerts and anomalies into incidents, and keeps what people do about them."""
