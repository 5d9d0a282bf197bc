-- Alerts: one row per episode, one per change of it.
CREATE TABLE ingest.alert (
    alert_id      text        PRIMARY KEY,
    fingerprint   text        NOT NULL,
    labels        jsonb       NOT NULL,
    annotations   jsonb       NOT NULL,
    state         smallint    NOT NULL,
    severity      smallint    NOT NULL,
    start_time    timestamptz NOT NULL,
    end_time      timestamptz,
    generator_url text        NOT NULL,
    update_time   timestamptz NOT NULL,
    traceparent   text        NOT NULL
);
CREATE INDEX alert_newest ON ingest.alert (start_time DESC, alert_id DESC);
CREATE INDEX alert_ended ON ingest.alert (end_time) WHERE state = 2;
CREATE INDEX alert_labels ON ingest.alert USING gin (labels jsonb_path_ops);

-- One row, locked by who writes changes, so that change_id is in commit order.
CREATE TABLE ingest.alert_head (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    last_change bigint  NOT NULL
);
INSERT INTO ingest.alert_head (last_change) VALUES (0);

CREATE TABLE ingest.alert_change (
    change_id   bigint      PRIMARY KEY,
    alert_id    text        NOT NULL REFERENCES ingest.alert ON DELETE CASCADE,
    state       smallint    NOT NULL,
    end_time    timestamptz,
    commit_time timestamptz NOT NULL,
    traceparent text        NOT NULL,
    UNIQUE (alert_id, state)
);
