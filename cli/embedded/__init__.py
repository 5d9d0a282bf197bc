"""Real PostgreSQL and Redis as our own child processes, for a machine that has neither."""
