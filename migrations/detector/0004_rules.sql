CREATE TABLE detector.rule (
    rule_id    text             PRIMARY KEY,
    name       text             NOT NULL UNIQUE,
    selector   text             NOT NULL,
    comparison smallint         NOT NULL CHECK (comparison IN (1, 2)),
    warning    double precision,
    critical   double precision,
    hysteresis double precision NOT NULL CHECK (hysteresis >= 0),
    hold_ms    bigint           NOT NULL CHECK (hold_ms BETWEEN 0 AND 86400000),
    enabled    boolean          NOT NULL,
    created_at timestamptz      NOT NULL DEFAULT now(),
    updated_at timestamptz      NOT NULL DEFAULT now(),
    CHECK (warning IS NOT NULL OR critical IS NOT NULL)
);

COMMENT ON COLUMN detector.rule.comparison IS '1: at or above is bad; 2: at or below.';

INSERT INTO detector.rule (rule_id, name, selector, comparison, warning, critical, hysteresis,
    hold_ms, enabled)
VALUES
    ('cpu', 'CPU usage', '{__name__=~"((system|host|node)_)?cpu(_usage|_utilization|_used)?_(percent|percentage|pct)|cpu_usage"}',
        1, 80, 95, 5, 60000, true),
    ('memory', 'Memory usage', '{__name__=~"((system|host|node)_)?mem(ory)?(_usage|_utilization|_used)?_(percent|percentage|pct)|memory_usage"}',
        1, 85, 95, 3, 60000, true),
    ('disk', 'Disk usage', '{__name__=~"((system|host|node)_)?(disk|filesystem)(_usage|_utilization|_used)?_(percent|percentage|pct)|disk_usage"}',
        1, 90, 95, 1, 0, true);

-- Episodes of rules and of absence that are open; written with the checkpoint of their shard.
CREATE TABLE detector.open_episode (
    shard             integer  NOT NULL REFERENCES detector.shard,
    source            text     NOT NULL,
    series_id         bigint   NOT NULL,
    since_warning_ms  bigint,
    since_critical_ms bigint,
    said              smallint NOT NULL CHECK (said BETWEEN 0 AND 2),
    PRIMARY KEY (shard, source, series_id)
);

COMMENT ON COLUMN detector.open_episode.source IS 'rule_id, or what else opens episodes.';
COMMENT ON COLUMN detector.open_episode.said IS '0: not yet announced; 1: warning; 2: critical.';
