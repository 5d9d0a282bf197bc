-- PostgreSQL 18 turns bytes into numbers by itself; older servers keep the arithmetic of 0006.
DO $$ BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        CREATE OR REPLACE FUNCTION ingest.int64_at(packed bytea, place integer) RETURNS bigint
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
        'SELECT reverse(substr(packed, 8 * place + 1, 8))::bigint';
    END IF;
END $$;
