-- How far a watched log was processed. One replica at a time holds it; the others wait.
CREATE TABLE explainer.cursor (
    name        text        PRIMARY KEY,
    cursor      bigint      NOT NULL,
    owner       uuid        NOT NULL,
    lease_until timestamptz NOT NULL
);
