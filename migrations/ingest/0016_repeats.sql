-- When the sender last said that it fires: nothing for long enough ends it. 4 is why: it has expired.
ALTER TABLE ingest.alert ADD COLUMN repeat_time timestamptz NOT NULL DEFAULT now();
CREATE INDEX alert_repeated ON ingest.alert (repeat_time) WHERE state = 1;
