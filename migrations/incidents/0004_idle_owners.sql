-- When the owner of an incident last did anything: forgotten ones are listed by it.
ALTER TABLE incidents.incident ADD COLUMN owner_seen_ms bigint NOT NULL DEFAULT 0;
UPDATE incidents.incident SET owner_seen_ms =
    coalesce((convert_from(body, 'UTF8')::jsonb ->> 'owner_seen_ms')::bigint, 0)
WHERE owner <> '' AND state IN (1, 2, 3);
CREATE INDEX incident_idle ON incidents.incident (owner_seen_ms, incident_id)
    WHERE owner <> '' AND state IN (1, 2, 3);
