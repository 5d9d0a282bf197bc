-- Every change of state, chained: each row's hash covers the row and the hash before it.
CREATE TABLE gateway.audit (
    entry_id    bigint PRIMARY KEY CHECK (entry_id > 0),   -- without holes
    occurred_at timestamptz NOT NULL,
    actor       text NOT NULL,
    action      text NOT NULL,
    subject     text NOT NULL,
    detail      jsonb NOT NULL,
    prev_hash   bytea NOT NULL,
    row_hash    bytea NOT NULL
);

CREATE FUNCTION gateway.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'gateway.audit is append-only';
END $$;

CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON gateway.audit
    FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_change();
