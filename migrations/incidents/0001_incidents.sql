CREATE SCHEMA incidents;

-- One row, locked by whoever writes: event_id is in commit order, and a replica that lost its lease
-- is seen by its fence.
CREATE TABLE incidents.head (
    singleton   boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    last_event  bigint      NOT NULL DEFAULT 0,
    owner       text        NOT NULL DEFAULT '',
    fence       bigint      NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO incidents.head DEFAULT VALUES;

-- How far each watched log was processed.
CREATE TABLE incidents.cursor (
    name   text   PRIMARY KEY,
    cursor bigint NOT NULL
);

-- The log; append-only. All else about incidents is a fold of it.
CREATE TABLE incidents.event (
    event_id    bigint   PRIMARY KEY,
    incident_id text     NOT NULL,
    event_no    integer  NOT NULL,
    kind        smallint NOT NULL,
    at_ms       bigint   NOT NULL,
    body        bytea    NOT NULL,
    UNIQUE (incident_id, event_no)
);

CREATE TABLE incidents.incident (
    incident_id text     PRIMARY KEY,
    body        bytea    NOT NULL,
    state       smallint NOT NULL,
    severity    smallint NOT NULL,
    owner       text     NOT NULL,
    labels      jsonb    NOT NULL,
    suspect     text     NOT NULL,
    words       text     NOT NULL,
    start_ms    bigint   NOT NULL,
    resolve_ms  bigint   NOT NULL,
    update_no   bigint   NOT NULL
);
CREATE INDEX incident_newest ON incidents.incident (update_no DESC);
CREATE INDEX incident_open ON incidents.incident (incident_id) WHERE state IN (0, 1, 2, 3);
CREATE INDEX incident_labels ON incidents.incident USING gin (labels jsonb_path_ops);
CREATE INDEX incident_suspect ON incidents.incident (suspect) WHERE state IN (0, 1, 2, 3);
CREATE INDEX incident_owner ON incidents.incident (owner, update_no DESC) WHERE owner <> '';

-- When to look at an incident next.
CREATE TABLE incidents.timer (
    incident_id text   PRIMARY KEY,
    due_ms      bigint NOT NULL
);
CREATE INDEX timer_due ON incidents.timer (due_ms);

-- incident_id is empty for what stands in the background. path holds the merges that moved it here.
CREATE TABLE incidents.member (
    member_id   text     PRIMARY KEY,
    incident_id text     NOT NULL,
    joined_no   bigint   NOT NULL,
    kind        smallint NOT NULL,
    fingerprint text     NOT NULL,
    labels      jsonb    NOT NULL,
    severity    smallint NOT NULL,
    start_ms    bigint   NOT NULL,
    end_ms      bigint   NOT NULL,
    reason      smallint NOT NULL,
    service     text     NOT NULL,
    path        bigint[] NOT NULL DEFAULT '{}'
);
CREATE INDEX member_of ON incidents.member (incident_id, joined_no, member_id);
CREATE INDEX member_firing ON incidents.member (incident_id) WHERE end_ms = 0;
CREATE INDEX member_start ON incidents.member (start_ms);

-- What the correlator knows beyond members: bursts, rates.
CREATE TABLE incidents.correlator (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    body      bytea   NOT NULL
);
CREATE TABLE incidents.rate (
    fingerprint text             PRIMARY KEY,
    count       double precision NOT NULL,
    at_ms       bigint           NOT NULL
);

-- The newest explanation of a member, which may come before the member does.
CREATE TABLE incidents.explanation (
    member_id text   PRIMARY KEY,
    body      bytea  NOT NULL,
    at_ms     bigint NOT NULL
);

CREATE TABLE incidents.rule (
    rule_id  text PRIMARY KEY,
    name     text NOT NULL UNIQUE,
    priority integer NOT NULL,
    body     bytea NOT NULL
);

CREATE TABLE incidents.silence (
    silence_id  text   PRIMARY KEY,
    place       bigint GENERATED ALWAYS AS IDENTITY,
    imported_id text   NOT NULL DEFAULT '',
    end_ms      bigint NOT NULL,
    expire_ms   bigint NOT NULL DEFAULT 0,
    body        bytea  NOT NULL
);
CREATE INDEX silence_newest ON incidents.silence (place DESC);
CREATE INDEX silence_live ON incidents.silence (end_ms) WHERE expire_ms = 0;
CREATE UNIQUE INDEX silence_imported ON incidents.silence (imported_id) WHERE imported_id <> '';

CREATE TABLE incidents.postmortem (
    incident_id text   PRIMARY KEY,
    text        text   NOT NULL,
    actor       text   NOT NULL,
    save_ms     bigint NOT NULL,
    revision    bigint NOT NULL
);

-- A change that was asked for, and its answer: the same request gives it again.
CREATE TABLE incidents.request (
    request_id text        PRIMARY KEY,
    digest     bytea       NOT NULL,
    answer     bytea       NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX request_made ON incidents.request (made_at);
