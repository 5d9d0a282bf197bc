-- Explained incidents by likeness, where the server has pgvector. Elsewhere the table is left out,
-- and explanations say that past incidents cannot be looked up. They are compared exactly, the newest
-- few thousand: an approximate index finds nothing when its first hits are not of the past.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS vector;
    CREATE TABLE explainer.incident (
        explanation_id uuid             PRIMARY KEY,
        event_time     timestamptz      NOT NULL,
        title          text             NOT NULL,
        cause          text             NOT NULL,
        confidence     double precision NOT NULL,
        embedding      vector(256)      NOT NULL
    );
    CREATE INDEX incident_by_time ON explainer.incident (event_time);
EXCEPTION WHEN undefined_file OR feature_not_supported OR insufficient_privilege OR undefined_object THEN
    RAISE NOTICE 'pgvector cannot be had here: %', SQLERRM;
END
$$;
