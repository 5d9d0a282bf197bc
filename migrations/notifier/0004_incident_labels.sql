-- Inhibition asks for open incidents by their labels, without reading their documents.
ALTER TABLE notifier.incident ADD COLUMN labels jsonb NOT NULL DEFAULT '{}';
UPDATE notifier.incident SET labels = convert_from(document, 'UTF8')::jsonb -> 'labels' WHERE NOT is_over;
CREATE INDEX incident_labels ON notifier.incident USING gin (labels jsonb_path_ops) WHERE NOT is_over;
