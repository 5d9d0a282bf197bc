-- What a series is: 0 not said, 1 a gauge, 2 a counter. A rule may say it, alone or with thresholds; an anomaly says as what it was scored.
ALTER TABLE detector.rule
    ADD COLUMN series_kind smallint NOT NULL DEFAULT 0 CHECK (series_kind BETWEEN 0 AND 2),
    DROP CONSTRAINT rule_comparison_check,
    DROP CONSTRAINT rule_check,
    ADD CONSTRAINT rule_comparison_check CHECK (comparison IN (1, 2) OR warning IS NULL AND critical IS NULL),
    ADD CONSTRAINT rule_check CHECK (warning IS NOT NULL OR critical IS NOT NULL OR series_kind > 0);
ALTER TABLE detector.anomaly ADD COLUMN series_kind smallint NOT NULL DEFAULT 0;
