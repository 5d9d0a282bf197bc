-- What senders say of their metrics: type, unit and meaning. The newest word stays.
CREATE TABLE ingest.metric (
    name        text        PRIMARY KEY,
    type        smallint    NOT NULL,
    unit        text        NOT NULL,
    help        text        NOT NULL,
    update_time timestamptz NOT NULL DEFAULT now()
);
