-- What begins in many series of one sender at about the same time is announced once: the first anomaly leads the others.
ALTER TABLE detector.anomaly
    -- rule_id of a threshold, so that its end is told; of older anomalies unknown
    ADD COLUMN source text NOT NULL DEFAULT '',
    ADD COLUMN shared_name text NOT NULL DEFAULT '',
    ADD COLUMN shared_value text NOT NULL DEFAULT '',
    ADD COLUMN lead_id text,
    ADD COLUMN series_count integer NOT NULL DEFAULT 1,
    -- end_time of a lead waits for all its members; this one is of its own series
    ADD COLUMN series_end_time timestamptz;
-- Rules and silences had no end before this file: what they announced ends with its begin, and nobody is told.
UPDATE detector.anomaly SET end_time = event_time WHERE end_time IS NULL AND kind <> 1;
UPDATE detector.anomaly SET series_end_time = end_time;
DROP INDEX detector.anomaly_open;
CREATE INDEX anomaly_open ON detector.anomaly (series_id) WHERE series_end_time IS NULL;
CREATE INDEX anomaly_leading ON detector.anomaly (shared_value, shared_name) WHERE lead_id IS NULL AND end_time IS NULL;
CREATE INDEX anomaly_by_lead ON detector.anomaly (lead_id, event_time) WHERE lead_id IS NOT NULL;
-- A silence is a row of its own; jobs are not counted any more.
DELETE FROM detector.open_episode WHERE source LIKE 'absence of job %';
