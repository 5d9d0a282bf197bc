-- When the clock of the log of events last went on in every shard: a busy log must not leave a quiet shard behind.
ALTER TABLE ingest.event_head ADD COLUMN last_tick_ms bigint NOT NULL DEFAULT 0;
