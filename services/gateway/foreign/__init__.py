"""Forms that others defined: what Alertmanager, Prometheus and plain HTTP senders write."""
