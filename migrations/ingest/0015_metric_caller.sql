-- Who first described a metric: each caller has a share of the table.
ALTER TABLE ingest.metric ADD COLUMN caller text NOT NULL DEFAULT '';
CREATE INDEX metric_caller ON ingest.metric (caller);
