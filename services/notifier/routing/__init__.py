"""Who gets which notice: Alertmanager's tree, inhibition, time intervals. No clock, no I/O."""
