CREATE TABLE detector.model (
    version          bigint      PRIMARY KEY CHECK (version > 0),
    created_at       timestamptz NOT NULL DEFAULT now(),
    feature_names    text[]      NOT NULL,
    artifact         bytea       NOT NULL,
    artifact_sha256  bytea       NOT NULL CHECK (octet_length(artifact_sha256) = 32),
    training_samples bigint      NOT NULL,
    training_start   timestamptz NOT NULL,
    training_end     timestamptz NOT NULL,
    parameters       jsonb       NOT NULL,
    active           boolean     NOT NULL
);

COMMENT ON COLUMN detector.model.artifact IS 'Plain arrays without pickle, checked when read.';

CREATE UNIQUE INDEX model_active ON detector.model (active) WHERE active;

-- What each shard kept for the first training: bounded, replaced as a whole.
CREATE TABLE detector.training_rows (
    shard         integer PRIMARY KEY REFERENCES detector.shard,
    feature_names text[]  NOT NULL,
    row_count     integer NOT NULL CHECK (row_count >= 0),
    features      bytea   NOT NULL
);

COMMENT ON COLUMN detector.training_rows.features IS
    'float32 little-endian, row_count times the number of feature names.';
