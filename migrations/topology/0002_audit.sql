-- What callers changed, chained: each row's hash covers the row and the hash before it.
CREATE TABLE topology.audit (
    entry_id    bigint PRIMARY KEY CHECK (entry_id > 0),   -- without holes
    occurred_at timestamptz NOT NULL,
    actor       text NOT NULL,
    action      text NOT NULL,
    subject     text NOT NULL,
    detail      jsonb NOT NULL,
    prev_hash   bytea NOT NULL,
    row_hash    bytea NOT NULL
);

CREATE FUNCTION topology.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'topology.audit is append-only';
END $$;

CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON topology.audit
    FOR EACH STATEMENT EXECUTE FUNCTION topology.refuse_change();

-- The newest entry of the gateway's log as the gateway told it: whoever cuts that log is seen.
CREATE TABLE topology.audit_witness (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    entry_id bigint NOT NULL,
    row_hash bytea NOT NULL
);
