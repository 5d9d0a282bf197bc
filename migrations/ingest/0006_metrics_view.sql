-- Plain SQL over all samples, for people and for Grafana's PostgreSQL source. Newest samples are
-- unpacked from the log row by row: restrict the time, or read compacted hours.
CREATE FUNCTION ingest.int64_at(packed bytea, place integer) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT get_byte(packed, 8 * place)::bigint
         | (get_byte(packed, 8 * place + 1)::bigint << 8)
         | (get_byte(packed, 8 * place + 2)::bigint << 16)
         | (get_byte(packed, 8 * place + 3)::bigint << 24)
         | (get_byte(packed, 8 * place + 4)::bigint << 32)
         | (get_byte(packed, 8 * place + 5)::bigint << 40)
         | (get_byte(packed, 8 * place + 6)::bigint << 48)
         | (get_byte(packed, 8 * place + 7)::bigint << 56)
$$;

-- IEEE 754 binary64 from its bits.
CREATE FUNCTION ingest.float64_of(bits bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE
        WHEN exponent = 2047 AND mantissa <> 0 THEN 'NaN'::float8
        WHEN exponent = 2047 THEN sign * 'Infinity'::float8
        WHEN exponent = 0 AND mantissa = 0 THEN sign * 0::float8
        WHEN exponent = 0 THEN sign * mantissa::float8 * 2::float8 ^ (-1074)::float8
        ELSE sign * (1 + mantissa::float8 / 4503599627370496) * 2::float8 ^ (exponent - 1023)::float8
    END
    FROM (SELECT CASE WHEN bits < 0 THEN -1::float8 ELSE 1::float8 END AS sign,
                 (bits >> 52) & 2047 AS exponent,
                 bits & 4503599627370495 AS mantissa) AS parts
$$;

CREATE VIEW ingest.metrics AS
SELECT series.labels ->> '__name__' AS metric_name,
       sample.metric_value,
       series.labels - '__name__' AS labels,
       sample.timestamp
FROM (
    SELECT chunk.series_id,
           unnest(chunk.sample_values) AS metric_value,
           to_timestamp(unnest(chunk.timestamps_ms) / 1000.0) AS timestamp
    FROM ingest.chunk
    UNION ALL
    SELECT ingest.int64_at(batch.series_ids, place),
           ingest.float64_of(ingest.int64_at(batch.sample_values, place)),
           to_timestamp(ingest.int64_at(batch.timestamps_ms, place) / 1000.0)
    FROM ingest.batch, generate_series(0, batch.sample_count - 1) AS place
    WHERE batch.log_offset > (SELECT compacted_offset FROM ingest.compaction)
) AS sample
JOIN ingest.series USING (series_id);
