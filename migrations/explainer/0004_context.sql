-- What people did: deploys, flags, configuration values.
CREATE TABLE explainer.change (
    change_id   text        PRIMARY KEY,
    kind        text        NOT NULL CHECK (kind IN ('deploy', 'flag', 'config')),
    service     text        NOT NULL,
    change_time timestamptz NOT NULL,
    text        text        NOT NULL,
    files       text[]      NOT NULL,
    diff        text        NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX change_by_time ON explainer.change (change_time);

-- Who calls whom, as each source told it last.
CREATE TABLE explainer.call_edge (
    source text NOT NULL,
    caller text NOT NULL,
    callee text NOT NULL,
    PRIMARY KEY (source, caller, callee)
);
