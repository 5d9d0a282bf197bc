-- What senders count anew with each point (OTLP delta) is added up here, in the transaction that appends the sum to the log: so it
-- is counted once, whichever replica takes the next point.
CREATE TABLE ingest.running_total (
    series_id bigint PRIMARY KEY,
    total     double precision NOT NULL,
    last_ms   bigint NOT NULL
) WITH (fillfactor = 70);
