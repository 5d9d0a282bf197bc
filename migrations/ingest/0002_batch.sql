-- The log: one row per batch. It is the durable record, the proof that a producer's sequence was
-- seen, and the outbox from which Redis is filled.
CREATE TABLE ingest.batch (
    received_day  date        NOT NULL,
    log_offset    bigint      NOT NULL,
    received_at   timestamptz NOT NULL,
    producer_id   text        NOT NULL,
    sequence      numeric(20) NOT NULL,
    sample_count  integer     NOT NULL,
    min_time_ms   bigint      NOT NULL,
    max_time_ms   bigint      NOT NULL,
    -- Rows are sorted by shard. Parallel arrays: the shards inside, the row where each ends, the
    -- position before this one that holds the shard, the shard's samples up to and with this row.
    shards        smallint[]  NOT NULL,
    row_ends      integer[]   NOT NULL,
    previous      bigint[]    NOT NULL,
    totals        bigint[]    NOT NULL,
    -- Little-endian columns: int64, int64 (ms), binary64. Compressing ids and values would be nine
    -- tenths of the cost of a commit; times shrink to almost nothing for almost nothing.
    series_ids    bytea       STORAGE EXTERNAL NOT NULL,
    timestamps_ms bytea       NOT NULL,
    sample_values bytea       STORAGE EXTERNAL NOT NULL,
    traceparent   text        NOT NULL DEFAULT '',
    PRIMARY KEY (log_offset, received_day),
    UNIQUE (producer_id, sequence, received_day)
) PARTITION BY RANGE (received_day);
CREATE INDEX batch_max_time ON ingest.batch (max_time_ms);
CREATE INDEX batch_received ON ingest.batch USING brin (received_at);

-- Makes the partition of one day; no effect when it is there. Processes that try at once
-- take turns, or IF NOT EXISTS would still fail.
CREATE FUNCTION ingest.make_batch_partition(day date) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ingest.batch'));
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS ingest.%I PARTITION OF ingest.batch FOR VALUES FROM (%L) TO (%L)',
        'batch_' || to_char(day, 'YYYYMMDD'), day, day + 1);
END $$;
