-- Followers ask every second what changed.
CREATE INDEX alert_updated ON ingest.alert (update_time);
