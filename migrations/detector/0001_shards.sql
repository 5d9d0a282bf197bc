CREATE SCHEMA detector;

-- One row per shard of ingest's log. Every other row of a shard is written only in a transaction
-- that first moved its cursor here, so a holder that lost the shard can write nothing.
CREATE TABLE detector.shard (
    shard             integer     PRIMARY KEY CHECK (shard >= 0),
    cursor            bigint      NOT NULL DEFAULT 0 CHECK (cursor >= 0),
    epoch             bigint      NOT NULL,
    holder            text        NOT NULL,
    start_time        timestamptz,
    checkpoint_time   timestamptz,
    processed_samples bigint      NOT NULL DEFAULT 0,
    collected_samples bigint      NOT NULL DEFAULT 0,
    series_count      bigint      NOT NULL DEFAULT 0,
    warm_series_count bigint      NOT NULL DEFAULT 0
);

COMMENT ON COLUMN detector.shard.epoch IS 'Fencing token of the holder, from ingest.';
COMMENT ON COLUMN detector.shard.start_time IS 'When its first checkpoint was committed.';
COMMENT ON COLUMN detector.shard.collected_samples IS
    'Samples that gave a feature vector, so could be used for training.';

-- Written once per series; the state that changes with every sample is apart from the labels.
CREATE TABLE detector.series (
    shard      integer NOT NULL REFERENCES detector.shard,
    row_number integer NOT NULL CHECK (row_number >= 0),
    series_id  bigint  NOT NULL,
    labels     jsonb   NOT NULL,
    PRIMARY KEY (shard, row_number),
    UNIQUE (shard, series_id)
);

CREATE TABLE detector.series_state (
    shard      integer NOT NULL,
    row_number integer NOT NULL,
    warm       boolean NOT NULL,
    state      bytea   STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (shard, row_number),
    FOREIGN KEY (shard, row_number) REFERENCES detector.series
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

COMMENT ON TABLE detector.series_state IS
    'Rewritten about once a second: room on each page keeps the updates off the index.';
