-- How many series each caller has brought: one that brings too many leaves room for the others.
CREATE TABLE ingest.caller (
    caller       text   PRIMARY KEY,
    series_count bigint NOT NULL
);
