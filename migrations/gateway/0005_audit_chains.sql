-- The logs of the other services, whose entries are in the gateway's log too.
CREATE TABLE gateway.audit_chain (
    service  text PRIMARY KEY,
    entry_id bigint NOT NULL,                                -- newest entry that is in this log
    row_hash bytea NOT NULL
);

-- What was found wrong with a log while it was compared with another; never dropped.
CREATE TABLE gateway.audit_fault (
    message  text PRIMARY KEY,
    found_at timestamptz NOT NULL DEFAULT now()
);
