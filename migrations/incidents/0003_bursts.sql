-- What the correlator knows of bursts and of groups of rules, a row each: a change writes what it touches, however much else is open.
CREATE TABLE incidents.burst (
    incident_id text  PRIMARY KEY,
    body        bytea NOT NULL
);
CREATE TABLE incidents.burst_mark (
    incident_id text    NOT NULL,
    is_service  boolean NOT NULL,     -- or a fingerprint
    mark        text    NOT NULL,
    PRIMARY KEY (incident_id, is_service, mark)
);
CREATE TABLE incidents.rule_group (
    key         bytea  PRIMARY KEY,
    incident_id text   NOT NULL,
    last_ms     bigint NOT NULL
);
