"""Who is told of what: Alertmanager's tree, inhibition, time intervals. No clock, no I/O."""
