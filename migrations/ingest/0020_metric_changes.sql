-- Who follows what is said of metrics asks once a second for what changed.
CREATE INDEX metric_update_time ON ingest.metric (update_time);
