"""The watched logs: alerts, anomalies and explanations, read by the holder of the lease."""
