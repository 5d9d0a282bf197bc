-- Spans and log records: a log of their own, so that they never make samples wait. Arrays are indexed by shard + 1.
CREATE TABLE ingest.event_head (
    singleton      boolean  PRIMARY KEY DEFAULT true CHECK (singleton),
    last_offset    bigint   NOT NULL DEFAULT 0,
    -- Commit times never go back: they are the clock by which readers decide.
    last_commit_ms bigint   NOT NULL DEFAULT 0,
    shard_offsets  bigint[] NOT NULL,
    shard_totals   bigint[] NOT NULL
) WITH (fillfactor = 20);

-- One row per body. As in ingest.batch, but for the rows themselves: 72 bytes each, as in EventDelivery of the contract, sorted by shard.
CREATE TABLE ingest.event_batch (
    slice        timestamptz NOT NULL,
    log_offset   bigint      NOT NULL,
    received_at  timestamptz NOT NULL,
    producer_id  text        NOT NULL,
    sequence     numeric(20) NOT NULL,
    shards       smallint[]  NOT NULL,
    row_ends     integer[]   NOT NULL,
    previous     bigint[]    NOT NULL,
    totals       bigint[]    NOT NULL,
    event_rows   bytea       STORAGE EXTERNAL NOT NULL,
    -- msgpack: what the ids in the rows stand for; examples, masked.
    names        bytea       NOT NULL,
    examples     bytea       NOT NULL,
    traceparent  text        NOT NULL DEFAULT '',
    PRIMARY KEY (log_offset, slice),
    UNIQUE (producer_id, sequence, slice)
) PARTITION BY RANGE (slice);
CREATE INDEX event_batch_received ON ingest.event_batch USING brin (received_at);

-- Makes the partition of ten minutes; no effect when it is there. Processes that try at once take turns, or IF NOT EXISTS would fail.
CREATE FUNCTION ingest.make_event_partition(begins timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ingest.event_batch'));
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS ingest.%I PARTITION OF ingest.event_batch FOR VALUES FROM (%L) TO (%L)',
        'event_batch_' || to_char(begins AT TIME ZONE 'UTC', 'YYYYMMDDHH24MI'), begins, begins + interval '10 minutes');
END $$;
