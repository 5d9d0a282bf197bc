-- What an installation may still warn of, in all (both names empty) and by the label that names a sender; see model/budget.py.
CREATE TABLE detector.warning_purse (
    shared_name  text             NOT NULL,
    shared_value text             NOT NULL,
    coins        double precision NOT NULL CHECK (coins >= 0),
    loudest      double precision NOT NULL,
    at_ms        bigint           NOT NULL,
    PRIMARY KEY (shared_name, shared_value)
);

ALTER TABLE detector.anomaly ADD COLUMN over_budget boolean NOT NULL DEFAULT false;
