CREATE SCHEMA explainer;

-- One row per explanation. It is run by whoever holds `owner` until `lease_until`; a run that stops
-- renewing is taken over under a new owner, and the old one can write nothing any more.
CREATE TABLE explainer.explanation (
    explanation_id uuid        PRIMARY KEY,
    subject_kind   text        NOT NULL CHECK (subject_kind IN ('alert', 'anomaly')),
    subject_id     text        NOT NULL,
    subject_state  text        NOT NULL,
    state          text        NOT NULL CHECK (state IN ('running', 'done', 'cancelled', 'failed')),
    verdict        text        NOT NULL CHECK (verdict IN ('', 'explained', 'insufficient_evidence')),
    -- sensus.explainer.v1.Explanation, whole and without its evidence; absent while it runs.
    result         bytea,
    headline       bytea,
    trace_id       text        NOT NULL,
    traceparent    text        NOT NULL,
    owner          uuid        NOT NULL,
    lease_until    timestamptz NOT NULL,
    attempt        int         NOT NULL DEFAULT 1,
    create_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    finish_time    timestamptz,
    CHECK ((state = 'running') = (finish_time IS NULL)),
    CHECK ((state = 'running') = (result IS NULL))
);

-- A subject in one state is explained once, over all replicas. What failed may be tried again.
CREATE UNIQUE INDEX explanation_once
    ON explainer.explanation (subject_kind, subject_id, subject_state)
    WHERE state IN ('running', 'done');
CREATE INDEX explanation_by_time ON explainer.explanation (create_time DESC, explanation_id DESC);
CREATE INDEX explanation_by_subject ON explainer.explanation (subject_kind, subject_id);
CREATE INDEX explanation_running ON explainer.explanation (lease_until) WHERE state = 'running';

-- What every stream of an explanation gets: sequences from 1 without holes.
CREATE TABLE explainer.frame (
    explanation_id uuid   NOT NULL REFERENCES explainer.explanation ON DELETE CASCADE,
    sequence       bigint NOT NULL CHECK (sequence > 0),
    frame          bytea  NOT NULL,
    PRIMARY KEY (explanation_id, sequence)
);

-- Which explanation a caller's request id stands for.
CREATE TABLE explainer.request (
    request_id     uuid        PRIMARY KEY,
    explanation_id uuid        NOT NULL REFERENCES explainer.explanation ON DELETE CASCADE,
    create_time    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX request_by_explanation ON explainer.request (explanation_id);
