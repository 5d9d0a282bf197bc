-- Subscriptions: who consumes, what is leased to whom, what waits, what was given up.
CREATE TABLE ingest.subscription (
    name        text        PRIMARY KEY,
    topic       smallint    NOT NULL,
    -- Subject of the token that opened it first: nobody else may take its deliveries.
    owner       text        NOT NULL,
    -- Alerts: changes up to this one have become deliveries.
    last_change bigint      NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT now(),
    seen_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ingest.consumer (
    subscription text        NOT NULL REFERENCES ingest.subscription ON DELETE CASCADE,
    consumer_id  text        NOT NULL,
    session_id   text        NOT NULL,
    seen_at      timestamptz NOT NULL,
    PRIMARY KEY (subscription, consumer_id)
);

-- One row per shard of a samples subscription. epoch grows with each change of hands.
CREATE TABLE ingest.shard_lease (
    subscription text        NOT NULL REFERENCES ingest.subscription ON DELETE CASCADE,
    shard        smallint    NOT NULL,
    session_id   text        NOT NULL DEFAULT '',
    epoch        bigint      NOT NULL DEFAULT 0,
    expires_at   timestamptz NOT NULL DEFAULT '-infinity',
    acked_offset bigint      NOT NULL,
    acked_total  bigint      NOT NULL,
    acked_at     timestamptz,
    PRIMARY KEY (subscription, shard)
) WITH (fillfactor = 50);

-- One row per alert change that a subscription has not yet acked. Leasing a delivery moves its
-- due_at; a dead letter has a bury_time.
CREATE TABLE ingest.delivery (
    delivery_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription text        NOT NULL REFERENCES ingest.subscription ON DELETE CASCADE,
    change_id    bigint      NOT NULL REFERENCES ingest.alert_change ON DELETE CASCADE,
    attempt      integer     NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL,
    consumer_id  text        NOT NULL DEFAULT '',
    reason       text        NOT NULL DEFAULT '',
    bury_time    timestamptz,
    UNIQUE (subscription, change_id)
) WITH (fillfactor = 70);
CREATE INDEX delivery_change ON ingest.delivery (change_id);
CREATE INDEX delivery_due ON ingest.delivery (subscription, due_at) WHERE bury_time IS NULL;
CREATE INDEX delivery_dead ON ingest.delivery (subscription, delivery_id) WHERE bury_time IS NOT NULL;
