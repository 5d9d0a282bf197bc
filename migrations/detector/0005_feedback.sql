-- What people said of anomalies; the last word counts.
CREATE TABLE detector.feedback (
    anomaly_id  text        PRIMARY KEY,
    series_id   bigint      NOT NULL,
    kind        smallint    NOT NULL,
    alert_score double precision NOT NULL,
    features    jsonb       NOT NULL,
    true_alarm  boolean     NOT NULL,
    comment     text        NOT NULL,
    subject     text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE detector.feedback IS
    'Holds a copy of what is learnt from, because anomalies are dropped by retention earlier.';

CREATE INDEX feedback_by_time ON detector.feedback (created_at);
