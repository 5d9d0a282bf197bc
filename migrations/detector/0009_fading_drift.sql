-- The scores of the last days, not of a version's whole life, tell whether they have drifted.
ALTER TABLE detector.live_score
    ALTER COLUMN histogram TYPE double precision[],
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();

COMMENT ON COLUMN detector.live_score.histogram IS
    'Strangeness of live samples as of updated_at; older ones count half per day.';
