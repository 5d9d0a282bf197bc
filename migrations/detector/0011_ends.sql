-- When the episode of an anomaly ended, and how. An end is an entry of the log of anomalies: it has a cursor of its own.
-- Anomalies from before this file have no end that anybody knows: they end with their begin, and nobody is told.
ALTER TABLE detector.anomaly
    ADD COLUMN end_time timestamptz,
    ADD COLUMN end_reason smallint NOT NULL DEFAULT 0,
    ADD COLUMN end_cursor bigint;
UPDATE detector.anomaly SET end_time = event_time;
CREATE UNIQUE INDEX anomaly_end_cursor ON detector.anomaly (end_cursor) WHERE end_cursor IS NOT NULL;
CREATE INDEX anomaly_open ON detector.anomaly (series_id) WHERE end_time IS NULL AND kind = 1;
