-- Retention looks for what was committed long ago; the log grows in this order.
CREATE INDEX anomaly_by_commit ON detector.anomaly USING brin (commit_time);
