-- Who says of what kind a series is: its values, its name, its sender, a rule; 0 of older anomalies.
ALTER TABLE detector.anomaly
    ADD COLUMN series_kind_source smallint NOT NULL DEFAULT 0 CHECK (series_kind_source BETWEEN 0 AND 4);
