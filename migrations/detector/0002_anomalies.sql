CREATE SEQUENCE detector.anomaly_cursor;

-- The log of anomalies. Cursors are taken under an advisory lock that is held until the commit,
-- so who has read up to a cursor has missed nothing before it.
CREATE TABLE detector.anomaly (
    cursor        bigint           PRIMARY KEY,
    anomaly_id    text             NOT NULL UNIQUE,
    series_id     bigint           NOT NULL,
    labels        jsonb            NOT NULL,
    kind          smallint         NOT NULL CHECK (kind BETWEEN 1 AND 3),
    severity      smallint         NOT NULL CHECK (severity BETWEEN 1 AND 3),
    event_time    timestamptz      NOT NULL,
    commit_time   timestamptz      NOT NULL DEFAULT now(),
    value         double precision NOT NULL,
    raw_score     double precision NOT NULL CHECK (raw_score BETWEEN 0 AND 1),
    alert_score   double precision NOT NULL CHECK (alert_score BETWEEN 0 AND 1),
    expected_low  double precision NOT NULL,
    expected_high double precision NOT NULL,
    contributions jsonb            NOT NULL,
    model_version bigint           NOT NULL,
    traceparent   text             NOT NULL
);

CREATE INDEX anomaly_by_time ON detector.anomaly (event_time DESC, cursor DESC);
CREATE INDEX anomaly_by_labels ON detector.anomaly USING gin (labels jsonb_path_ops);
CREATE INDEX anomaly_by_series ON detector.anomaly (series_id, event_time DESC);
