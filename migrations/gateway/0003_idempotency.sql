-- The body that an Idempotency-Key of a sender stands for; key_id covers sender and key.
CREATE TABLE gateway.idempotency_key (
    key_id      text        PRIMARY KEY,
    body_digest bytea       NOT NULL,
    seen_at     timestamptz NOT NULL
);
CREATE INDEX idempotency_key_seen ON gateway.idempotency_key (seen_at);
