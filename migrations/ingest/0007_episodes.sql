-- Why an episode is over: 0 it is not, 1 its sender said so, 2 a newer episode, 3 a covering notice.
ALTER TABLE ingest.alert ADD COLUMN end_reason smallint NOT NULL DEFAULT 0;
UPDATE ingest.alert SET end_reason = 1 WHERE state = 2;
CREATE INDEX alert_label_set ON ingest.alert (fingerprint, start_time);

-- An inferred end makes room for the sender's own when that comes.
ALTER TABLE ingest.alert_change ADD COLUMN is_inferred boolean NOT NULL DEFAULT false;
