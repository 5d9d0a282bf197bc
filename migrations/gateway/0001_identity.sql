-- Who may come in: people, their refresh tokens, keys of senders, and failed attempts to log in.
CREATE SCHEMA IF NOT EXISTS gateway;

CREATE TABLE gateway.account (
    user_name     text PRIMARY KEY CHECK (user_name ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
    password_hash text NOT NULL,                       -- argon2id, PHC string
    role          text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    disabled      boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE gateway.refresh_token (
    token_hash bytea PRIMARY KEY,                      -- sha256 of the token; the token is nowhere
    family     uuid NOT NULL,                          -- one log-in; using a token twice ends it all
    user_name  text NOT NULL REFERENCES gateway.account ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_token_family ON gateway.refresh_token (family);
CREATE INDEX refresh_token_user ON gateway.refresh_token (user_name);

CREATE TABLE gateway.api_key (
    key_id              text PRIMARY KEY,
    key_hash            bytea NOT NULL UNIQUE,         -- sha256 of the whole key
    name                text NOT NULL,
    owner               text NOT NULL REFERENCES gateway.account,
    scopes              text[] NOT NULL,
    requests_per_minute integer CHECK (requests_per_minute > 0),   -- NULL: the gateway's default
    created_at          timestamptz NOT NULL DEFAULT now(),
    revoked_at          timestamptz
);

CREATE TABLE gateway.login_attempt (
    kind         text NOT NULL CHECK (kind IN ('address', 'user')),
    subject      text NOT NULL,
    attempts     integer NOT NULL,                     -- in this window, without success
    window_start timestamptz NOT NULL,
    PRIMARY KEY (kind, subject)
);
