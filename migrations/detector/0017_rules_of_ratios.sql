-- The agent tells shares from 0 to 1, which the rules in percent do not watch. Images are always full: they are left out.
INSERT INTO detector.rule (rule_id, name, selector, comparison, warning, critical, hysteresis,
    hold_ms, enabled)
VALUES
    ('cpu-ratio', 'CPU usage (agent)', 'node_cpu_utilization_ratio', 1, 0.8, 0.95, 0.05, 60000, true),
    ('memory-ratio', 'Memory usage (agent)', 'node_memory_utilization_ratio', 1, 0.85, 0.95, 0.03, 60000, true),
    ('disk-ratio', 'Disk usage (agent)',
        'node_filesystem_utilization_ratio{fstype!~"squashfs|iso9660|erofs|udf|cramfs"}', 1, 0.9, 0.95, 0.01, 0, true)
ON CONFLICT DO NOTHING;
