-- Silence of a series means something only while ingest was heard of: that knowledge moves with the
-- shard, so that what was told of silence does not depend on who held it.
ALTER TABLE detector.shard
    ADD COLUMN watched_since_ms bigint,
    ADD COLUMN watched_until_ms bigint,
    ADD CHECK ((watched_since_ms IS NULL) = (watched_until_ms IS NULL)),
    ADD CHECK (watched_since_ms <= watched_until_ms);

COMMENT ON COLUMN detector.shard.watched_since_ms IS
    'Since when there was no long pause in the signs of life of ingest, on its clock.';
COMMENT ON COLUMN detector.shard.watched_until_ms IS 'Its last sign of life.';
