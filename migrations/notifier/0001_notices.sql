CREATE SCHEMA notifier;

-- Who is told of what. The newest version holds; secrets are references in the text, never values.
CREATE TABLE notifier.routing (
    version     bigint      PRIMARY KEY CHECK (version > 0),
    yaml        text        NOT NULL,
    etag        text        NOT NULL,
    author      text        NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);

-- How far the log of incidents was followed. One replica at a time holds it; the others wait.
CREATE TABLE notifier.cursor (
    name        text        PRIMARY KEY,
    cursor      bigint      NOT NULL,
    owner       uuid        NOT NULL,
    lease_until timestamptz NOT NULL
);

-- Each incident as it was last seen: inhibition, timers and what is held back are judged by it.
CREATE TABLE notifier.incident (
    incident_id text        PRIMARY KEY,
    is_over     boolean     NOT NULL,
    document    bytea       NOT NULL,   -- JSON
    update_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX incident_open ON notifier.incident (incident_id) WHERE NOT is_over;

-- One row per thing told to one receiver over one of its integrations.
CREATE TABLE notifier.notice (
    seq          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notice_id    uuid        NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    notice_key   bytea       NOT NULL UNIQUE,   -- of incident, transition, receiver and integration: told once
    tenant       text        NOT NULL DEFAULT 'default',
    incident_id  text        NOT NULL,
    transition   bigint      NOT NULL,
    step         text        NOT NULL DEFAULT '',     -- what of the transition, when it is told more than once
    kind         text        NOT NULL,
    state        text        NOT NULL CHECK (state IN
                             ('pending', 'sending', 'sent', 'failed', 'folded', 'held', 'dropped')),
    severity     text        NOT NULL,
    receiver     text        NOT NULL,
    integration  text        NOT NULL,
    title        text        NOT NULL,
    content      bytea       NOT NULL,          -- JSON
    path         text[]      NOT NULL,
    held_by      text        NOT NULL DEFAULT '',
    instead_of   text        NOT NULL DEFAULT '',
    event_time   timestamptz NOT NULL,
    create_time  timestamptz NOT NULL DEFAULT now(),
    ready_time   timestamptz NOT NULL DEFAULT now(),   -- from here on it is late, and given up some hours later
    sent_time    timestamptz,
    next_attempt timestamptz NOT NULL DEFAULT now(),   -- while it is sent: when it may be taken over
    attempt      integer     NOT NULL DEFAULT 0,       -- the fence: who made a lower one may not settle it
    owner        uuid,
    digest_id    uuid,
    resent_of    uuid
);
CREATE INDEX notice_waiting ON notifier.notice (receiver, integration, next_attempt)
    WHERE state IN ('pending', 'sending');
CREATE INDEX notice_order ON notifier.notice (incident_id, receiver, integration, seq);
CREATE INDEX notice_held ON notifier.notice (incident_id) WHERE state = 'held';
CREATE INDEX notice_digest ON notifier.notice (digest_id) WHERE digest_id IS NOT NULL;
CREATE INDEX notice_age ON notifier.notice (create_time);

CREATE TABLE notifier.attempt (
    notice_id  uuid        NOT NULL REFERENCES notifier.notice (notice_id) ON DELETE CASCADE,
    attempt    integer     NOT NULL,
    start_time timestamptz NOT NULL DEFAULT now(),
    latency_ms double precision,               -- null: it never ended
    status     integer     NOT NULL DEFAULT 0,
    error      text        NOT NULL DEFAULT '',
    answer     text        NOT NULL DEFAULT '',
    PRIMARY KEY (notice_id, attempt)
);

-- What is to be told later unless something happens before. A row outlives every restart.
CREATE TABLE notifier.timer (
    incident_id text        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('escalate', 'repeat')),
    transition  bigint      NOT NULL,
    step        integer     NOT NULL,
    receiver    text        NOT NULL,
    path        text[]      NOT NULL,
    due_time    timestamptz NOT NULL,
    unless      text        NOT NULL DEFAULT '',
    every_s     double precision NOT NULL DEFAULT 0,
    repeats_max integer,
    PRIMARY KEY (incident_id, kind, transition, step, receiver, path)
);
CREATE INDEX timer_due ON notifier.timer (due_time);

-- How each integration is: whether it answers, and what it may still take.
CREATE TABLE notifier.integration (
    receiver     text        NOT NULL,
    integration  text        NOT NULL,
    failures     integer     NOT NULL DEFAULT 0,
    pause_s      double precision NOT NULL DEFAULT 0,
    open_until   timestamptz,
    last_error   text        NOT NULL DEFAULT '',
    last_success timestamptz,
    tokens       double precision,
    filled_at    timestamptz,
    PRIMARY KEY (receiver, integration)
);

-- What a server calls the message of an incident, so that it is edited and answered in its thread.
CREATE TABLE notifier.thread (
    incident_id text NOT NULL,
    receiver    text NOT NULL,
    integration text NOT NULL,
    reference   text NOT NULL,
    PRIMARY KEY (incident_id, receiver, integration)
);
