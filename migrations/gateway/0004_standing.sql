-- Whose tokens hold: kept by triggers, so that a change by hand counts as one by the API.
ALTER TABLE gateway.account
    ADD COLUMN epoch_us     bigint NOT NULL DEFAULT 0,       -- older tokens are refused
    ADD COLUMN kept_session text   NOT NULL DEFAULT '';      -- except those of this session
ALTER TABLE gateway.account
    ALTER COLUMN epoch_us SET DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

-- a key outlives the row of its owner, as proof of who made it; it works no longer
ALTER TABLE gateway.api_key DROP CONSTRAINT api_key_owner_fkey;

CREATE TABLE gateway.standing (
    subject      text PRIMARY KEY,                           -- user:<name>, key:<id>, session:<id>
    revision     bigint NOT NULL UNIQUE,                     -- in the order of commits
    role         text,                                       -- of a person
    scopes       text[],                                     -- of a key
    epoch_us     bigint NOT NULL DEFAULT 0,
    kept_session text NOT NULL DEFAULT '',
    ended        text NOT NULL DEFAULT ''
                 CHECK (ended IN ('', 'disabled', 'deleted', 'revoked', 'logged out')),
    expires_at   timestamptz                                 -- of a session: its last token's end
);
CREATE TABLE gateway.standing_revision (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL
);
INSERT INTO gateway.standing_revision (revision) VALUES (0);

-- The row lock on the counter is held until the commit: revisions are committed in order.
CREATE FUNCTION gateway.set_standing(subject text, role text, scopes text[], epoch_us bigint,
    kept_session text, ended text, expires_at timestamptz) RETURNS void LANGUAGE sql AS $$
    WITH next AS (
        UPDATE gateway.standing_revision SET revision = revision + 1 RETURNING revision
    )
    INSERT INTO gateway.standing AS s
        SELECT $1, revision, $2, $3, $4, $5, $6, $7 FROM next
    ON CONFLICT (subject) DO UPDATE SET revision = excluded.revision, role = excluded.role,
        scopes = excluded.scopes, epoch_us = excluded.epoch_us,
        kept_session = excluded.kept_session, ended = excluded.ended,
        expires_at = excluded.expires_at
$$;

CREATE FUNCTION gateway.set_key_standing(key gateway.api_key, is_deleted boolean) RETURNS void
LANGUAGE sql AS $$
    SELECT gateway.set_standing('key:' || key.key_id, NULL, key.scopes, 0, '',
        CASE WHEN is_deleted THEN 'deleted' WHEN key.revoked_at IS NOT NULL THEN 'revoked'
            WHEN owner.disabled IS NULL THEN 'deleted' WHEN owner.disabled THEN 'disabled'
            ELSE '' END, NULL)
    FROM (SELECT 1) AS one LEFT JOIN gateway.account AS owner ON owner.user_name = key.owner
$$;

CREATE FUNCTION gateway.begin_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.password_hash IS DISTINCT FROM OLD.password_hash OR NEW.disabled <> OLD.disabled THEN
        NEW.epoch_us := greatest(
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, OLD.epoch_us + 1);
        -- only the statement that names the session keeps it
        NEW.kept_session := coalesce(current_setting('sensus.kept_session', true), '');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER account_begins_epoch BEFORE UPDATE ON gateway.account
    FOR EACH ROW EXECUTE FUNCTION gateway.begin_epoch();

CREATE FUNCTION gateway.note_account() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    account gateway.account := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    PERFORM gateway.set_standing('user:' || account.user_name, account.role, NULL,
        account.epoch_us, account.kept_session,
        CASE WHEN TG_OP = 'DELETE' THEN 'deleted' WHEN account.disabled THEN 'disabled' ELSE '' END,
        NULL);
    PERFORM gateway.set_key_standing(k, false) FROM gateway.api_key AS k
        WHERE k.owner = account.user_name;
    RETURN NULL;
END $$;
CREATE TRIGGER account_is_noted AFTER INSERT OR UPDATE OR DELETE ON gateway.account
    FOR EACH ROW EXECUTE FUNCTION gateway.note_account();

CREATE FUNCTION gateway.note_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM gateway.set_key_standing(OLD, true);
    ELSE
        PERFORM gateway.set_key_standing(NEW, false);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER api_key_is_noted AFTER INSERT OR UPDATE OR DELETE ON gateway.api_key
    FOR EACH ROW EXECUTE FUNCTION gateway.note_key();

SELECT gateway.set_standing('user:' || user_name, role, NULL, epoch_us, kept_session,
    CASE WHEN disabled THEN 'disabled' ELSE '' END, NULL) FROM gateway.account;
SELECT gateway.set_key_standing(k, false) FROM gateway.api_key AS k;

-- Failed log-ins by account and address, so that a stranger delays nobody but himself.
-- The table login_attempt is read no longer; gateways of the release before still write to it.
CREATE TABLE gateway.login_failure (
    user_name text NOT NULL,                                 -- as sent; there may be no such user
    address   text NOT NULL,
    failures  integer NOT NULL,                              -- since the last success
    last_at   timestamptz NOT NULL,
    PRIMARY KEY (user_name, address)
);
CREATE INDEX login_failure_last_at ON gateway.login_failure (last_at);
CREATE TABLE gateway.known_address (
    user_name text NOT NULL REFERENCES gateway.account ON DELETE CASCADE,
    address   text NOT NULL,                                 -- from which the user logged in before
    last_at   timestamptz NOT NULL,
    PRIMARY KEY (user_name, address)
);
