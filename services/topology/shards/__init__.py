"""The shards that this process holds: events in, counts and cursor out."""
