-- Up to which cursor retention has taken entries of the log: whoever resumes before it has missed some.
CREATE TABLE detector.anomaly_log (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    dropped   bigint  NOT NULL DEFAULT 0
);
