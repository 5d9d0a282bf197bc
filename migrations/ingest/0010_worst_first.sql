-- Deliveries go out by severity, then by age: one critical alert does not wait behind a storm of warnings.
ALTER TABLE ingest.delivery ADD COLUMN severity smallint NOT NULL DEFAULT 0;
UPDATE ingest.delivery SET severity = alert.severity
FROM ingest.alert_change AS change JOIN ingest.alert USING (alert_id)
WHERE change.change_id = delivery.change_id;
DROP INDEX ingest.delivery_due;
CREATE INDEX delivery_due ON ingest.delivery (subscription, severity DESC, due_at) WHERE bury_time IS NULL;
