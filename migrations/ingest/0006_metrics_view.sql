-- Plain SQL over samples, for people and for Grafana's PostgreSQL source. What is not compacted yet
-- is unpacked from the log row by row.
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

-- The samples from a time, inclusive, to a time, exclusive. Reads only the partitions, hours and
-- batches that can hold them. Both times may be infinite.
CREATE FUNCTION ingest.samples(from_time timestamptz, to_time timestamptz)
RETURNS TABLE (
    metric_name  text,
    metric_value double precision,
    labels       jsonb,
    "timestamp"  timestamptz
)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT series.labels ->> '__name__', sample.metric_value, series.labels - '__name__', sample.at
    FROM (
        SELECT chunk.series_id,
               unnest(chunk.sample_values) AS metric_value,
               to_timestamp(unnest(chunk.timestamps_ms) / 1000.0::float8) AS at
        FROM ingest.chunk
        WHERE chunk.hour > from_time - interval '1 hour' AND chunk.hour < to_time
        UNION ALL
        SELECT ingest.int64_at(held.series_ids, place),
               ingest.float64_of(ingest.int64_at(held.sample_values, place)),
               to_timestamp(ingest.int64_at(held.timestamps_ms, place) / 1000.0::float8)
        FROM (
            -- appending nothing unpacks a column once per batch instead of once per byte
            SELECT sample_count,
                   series_ids || ''::bytea AS series_ids,
                   timestamps_ms || ''::bytea AS timestamps_ms,
                   sample_values || ''::bytea AS sample_values
            FROM ingest.batch
            WHERE log_offset > (SELECT compacted_offset FROM ingest.compaction)
              AND max_time_ms
                  >= floor(extract(epoch FROM greatest(from_time, '1970-01-01Z')) * 1000)::bigint
              AND min_time_ms
                  < ceil(extract(epoch FROM least(to_time, '9999-12-31Z')) * 1000)::bigint
            OFFSET 0
        ) AS held, generate_series(0, held.sample_count - 1) AS place
    ) AS sample
    JOIN ingest.series USING (series_id)
    WHERE sample.at >= from_time AND sample.at < to_time
$$;
COMMENT ON FUNCTION ingest.samples IS
    'Samples from a time, inclusive, to a time, exclusive; reads only what can hold them.';

CREATE VIEW ingest.metrics AS SELECT * FROM ingest.samples('-infinity', 'infinity');
COMMENT ON VIEW ingest.metrics IS
    'All samples. A condition on its timestamp does not spare reading the others: use '
    'ingest.samples(from_time, to_time), in Grafana FROM ingest.samples($__timeFrom(), $__timeTo()).';
