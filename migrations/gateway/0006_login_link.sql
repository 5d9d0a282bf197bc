-- Links that log in once, noted when they are used, until they would have expired anyway.
CREATE TABLE gateway.used_login_link (
    link_id    text PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
