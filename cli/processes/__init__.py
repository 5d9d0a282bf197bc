"""Child processes: one that is spawned, a set that is kept running."""
