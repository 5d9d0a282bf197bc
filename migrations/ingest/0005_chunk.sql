-- Compacted samples: one row per series and hour, so that reading a series is one index probe.
CREATE TABLE ingest.chunk (
    hour          timestamptz        NOT NULL,
    series_id     bigint             NOT NULL,
    timestamps_ms bigint[]           NOT NULL,
    sample_values double precision[] NOT NULL,
    PRIMARY KEY (series_id, hour)
) PARTITION BY RANGE (hour);

-- One row, locked by the process that compacts: the log up to compacted_offset is in the chunks.
CREATE TABLE ingest.compaction (
    singleton        boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    compacted_offset bigint  NOT NULL
);
INSERT INTO ingest.compaction (compacted_offset) VALUES (0);

-- Makes the partition of one day (UTC); no effect when it is there. Processes that try at once
-- take turns, or IF NOT EXISTS would still fail.
CREATE FUNCTION ingest.make_chunk_partition(day date) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ingest.chunk'));
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS ingest.%I PARTITION OF ingest.chunk FOR VALUES FROM (%L) TO (%L)',
        'chunk_' || to_char(day, 'YYYYMMDD'),
        day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
END $$;
