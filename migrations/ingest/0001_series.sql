-- Series and the row that hands out positions in the log.
CREATE SCHEMA IF NOT EXISTS ingest;

-- One row. Who appends to the log locks it, so positions are in commit order: a reader that sees
-- position n has seen every smaller one. Arrays are indexed by shard + 1.
CREATE TABLE ingest.head (
    singleton     boolean  PRIMARY KEY DEFAULT true CHECK (singleton),
    -- Tells the streams of installations apart that share one Redis, and those of a database that
    -- was made anew from those of the one before.
    installation  uuid     NOT NULL DEFAULT gen_random_uuid(),
    shard_count   smallint NOT NULL CHECK (shard_count BETWEEN 1 AND 1024),
    last_offset   bigint   NOT NULL DEFAULT 0,
    series_count  bigint   NOT NULL DEFAULT 0,
    shard_offsets bigint[] NOT NULL,
    shard_totals  bigint[] NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE ingest.series (
    series_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    labels_hash bytea       NOT NULL UNIQUE CHECK (octet_length(labels_hash) = 16),
    labels      jsonb       NOT NULL,
    shard       smallint    NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX series_labels ON ingest.series USING gin (labels jsonb_path_ops);
