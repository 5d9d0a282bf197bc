-- Requests that senders give as examples of a series, by the id of their trace. A family is what the series of one histogram, or a
-- counter, have in common. One exemplar a minute, the greatest; a slot is taken anew after an hour, so a family has at most 60.
CREATE TABLE ingest.exemplar (
    family   bytea            NOT NULL,
    slot     smallint         NOT NULL,
    time_ms  bigint           NOT NULL,
    value    double precision NOT NULL,
    trace_id text             NOT NULL,
    span_id  text             NOT NULL,
    PRIMARY KEY (family, slot)
);
CREATE INDEX exemplar_time ON ingest.exemplar (time_ms);
