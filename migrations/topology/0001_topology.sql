CREATE SCHEMA topology;

-- One row per shard of ingest's log of events. What was counted of a shard is written only in a transaction that first moved its
-- cursor here, so a holder that lost the shard can write nothing.
CREATE TABLE topology.shard (
    shard         integer PRIMARY KEY CHECK (shard >= 0),
    epoch         bigint  NOT NULL,
    holder        text    NOT NULL,
    cursor        bigint  NOT NULL DEFAULT 0,
    -- The clock of the log, in seconds; minutes and hours before these numbers are final. All since the Unix epoch.
    second        bigint  NOT NULL DEFAULT 0,
    final_before  bigint  NOT NULL DEFAULT 0,
    rolled_before bigint  NOT NULL DEFAULT 0,
    -- msgpack: traces that are not settled, and those that were a minute ago.
    pending       bytea   STORAGE EXTERNAL NOT NULL DEFAULT ''
) WITH (fillfactor = 50);

-- What was counted, as services/topology/minutes packs it. A minute that is not final still grows.
CREATE TABLE topology.minute (
    minute   bigint  NOT NULL,
    shard    integer NOT NULL,
    is_final boolean NOT NULL,
    content  bytea   NOT NULL,
    PRIMARY KEY (minute, shard)
) WITH (fillfactor = 70);
CREATE INDEX minute_open ON topology.minute (shard) WHERE NOT is_final;

CREATE TABLE topology.hour (
    hour    bigint  NOT NULL,
    shard   integer NOT NULL,
    content bytea   NOT NULL,
    PRIMARY KEY (hour, shard)
);

-- What ids stand for; an id of 64 bits is stored as the signed number of the same bits. Kinds: 1 operation, 2 address, 3 pattern,
-- 4 type of exception.
CREATE TABLE topology.name (
    kind     smallint NOT NULL,
    id       bigint   NOT NULL,
    service  text     NOT NULL,
    name     text     NOT NULL,
    last_day date     NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX name_service ON topology.name (service, kind);

CREATE TABLE topology.instance (
    id          bigint      PRIMARY KEY,
    service     text        NOT NULL,
    version     text        NOT NULL,
    instance    text        NOT NULL,
    environment text        NOT NULL,
    first_seen  timestamptz NOT NULL,
    last_seen   timestamptz NOT NULL
);

-- Lines of a pattern, by shard so that shards never wait for each other. Times in milliseconds.
CREATE TABLE topology.pattern_lines (
    pattern    bigint   NOT NULL,
    shard      integer  NOT NULL,
    severity   smallint NOT NULL,
    lines      bigint   NOT NULL,
    first_ms   bigint   NOT NULL,
    last_ms    bigint   NOT NULL,
    PRIMARY KEY (pattern, shard)
) WITH (fillfactor = 70);

-- At most five of an operation, type, pattern and hour: one per slot, the earliest of those that fall into it.
CREATE TABLE topology.example (
    operation  bigint   NOT NULL,
    exception  bigint   NOT NULL,
    pattern    bigint   NOT NULL,
    hour       bigint   NOT NULL,
    slot       smallint NOT NULL,
    example_id text     NOT NULL,
    time_ms    bigint   NOT NULL,
    service    text     NOT NULL,
    name       text     NOT NULL,
    type       text     NOT NULL,
    message    text     NOT NULL,
    frames     text[]   NOT NULL,
    trace_id   bytea    NOT NULL,
    span_id    bytea    NOT NULL,
    PRIMARY KEY (operation, exception, pattern, hour, slot)
);
CREATE INDEX example_time ON topology.example (time_ms DESC, example_id DESC);

-- How far series of minutes were handed on.
CREATE TABLE topology.published (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    minute    bigint  NOT NULL DEFAULT 0
);
INSERT INTO topology.published DEFAULT VALUES;

-- Versions that were sent to the explainer as changes.
CREATE TABLE topology.sent_version (
    service     text        NOT NULL,
    version     text        NOT NULL,
    environment text        NOT NULL,
    first_seen  timestamptz NOT NULL,
    PRIMARY KEY (service, version, environment)
);
