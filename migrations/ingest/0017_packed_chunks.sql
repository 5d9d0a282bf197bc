-- Chunks packed to one to three bytes a sample; services/ingest/packing/layout.py says how. Those
-- that were written as arrays stay until they are written anew or their day is dropped.
ALTER TABLE ingest.chunk
    ADD COLUMN packed bytea,
    ALTER COLUMN timestamps_ms DROP NOT NULL,
    ALTER COLUMN sample_values DROP NOT NULL,
    ADD CHECK (packed IS NOT NULL OR (timestamps_ms IS NOT NULL AND sample_values IS NOT NULL));
ALTER TABLE ingest.chunk ALTER COLUMN packed SET STORAGE EXTERNAL;

-- Questions in SQL name a metric: its series are found without reading all.
CREATE INDEX series_name ON ingest.series ((labels ->> '__name__'));

-- IEEE 754 binary64 from its bits: one expression and not STRICT, so that the planner puts it in place.
CREATE OR REPLACE FUNCTION ingest.float64_of(bits bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN bits & 9218868437227405312 <> 9218868437227405312 THEN
            CASE WHEN bits < 0 THEN -1::float8 ELSE 1::float8 END
            * CASE WHEN bits & 9218868437227405312 = 0
                THEN (bits & 4503599627370495)::float8 * 2::float8 ^ (-1074)::float8
                ELSE ((bits & 4503599627370495) | 4503599627370496)::float8
                     * 2::float8 ^ (((bits >> 52) & 2047) - 1075)::float8
            END
        WHEN bits & 4503599627370495 <> 0 THEN 'NaN'::float8
        WHEN bits < 0 THEN '-Infinity'::float8
        WHEN bits > 0 THEN 'Infinity'::float8
    END
$$;

-- Eight bytes, the highest first.
CREATE FUNCTION ingest.big_endian_at(packed bytea, place integer) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (get_byte(packed, place)::bigint << 56)
         | (get_byte(packed, place + 1)::bigint << 48)
         | (get_byte(packed, place + 2)::bigint << 40)
         | (get_byte(packed, place + 3)::bigint << 32)
         | (get_byte(packed, place + 4)::bigint << 24)
         | (get_byte(packed, place + 5)::bigint << 16)
         | (get_byte(packed, place + 6)::bigint << 8)
         | get_byte(packed, place + 7)::bigint
$$;
DO $$ BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        CREATE OR REPLACE FUNCTION ingest.big_endian_at(packed bytea, place integer) RETURNS bigint
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
        'SELECT substr(packed, place + 1, 8)::bigint';
    END IF;
END $$;

-- A zigzag varint and the place behind it.
CREATE FUNCTION ingest.zigzag_at(packed bytea, INOUT place integer, OUT number bigint)
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    byte  integer;
    raw   bigint := 0;
    shift integer := 0;
BEGIN
    LOOP
        byte := get_byte(packed, place);
        raw := raw | ((byte & 127)::bigint << shift);
        place := place + 1;
        EXIT WHEN byte < 128;
        shift := shift + 7;
    END LOOP;
    number := ((raw >> 1) & 9223372036854775807) # -(raw & 1);
END $$;

-- The integers of a block of `size` rows, how they are scaled, and the place behind the block. Eight
-- bytes must follow it.
CREATE FUNCTION ingest.block_at(
    packed bytea, size integer, INOUT place integer, OUT scale integer, OUT numbers bigint[]
)
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    width integer := get_byte(packed, place + 1);
    steps boolean;
    least bigint;
    mask  bigint := CASE WHEN width = 64 THEN -1 ELSE (1::bigint << width) - 1 END;
    spare integer := 64 - width;
    bit   integer;
    sum   bigint;
    first integer := 1;
BEGIN
    scale := get_byte(packed, place);
    steps := scale >= 128;
    SELECT found.place, found.number INTO place, least FROM ingest.zigzag_at(packed, place + 2) AS found;
    IF steps THEN
        scale := scale - 128;
        sum := least;
        SELECT found.place, found.number INTO place, least FROM ingest.zigzag_at(packed, place) AS found;
        numbers[1] := sum;
        first := 2;
    END IF;
    bit := 8 * place;
    place := place + ((size - first + 1) * width + 7) / 8;
    IF width = 0 AND NOT steps THEN
        numbers := array_fill(least, ARRAY[size]);
    ELSIF steps THEN
        FOR row IN first..size LOOP
            IF width > 0 THEN
                sum := sum + (least + ((ingest.big_endian_at(packed, bit / 8) >> (spare - bit % 8)) & mask));
            ELSE
                sum := sum + least;
            END IF;
            numbers[row] := sum;
            bit := bit + width;
        END LOOP;
    ELSE
        FOR row IN first..size LOOP
            numbers[row] := least + ((ingest.big_endian_at(packed, bit / 8) >> (spare - bit % 8)) & mask);
            bit := bit + width;
        END LOOP;
    END IF;
END $$;

-- The samples of a packed chunk.
CREATE FUNCTION ingest.unpacked(packed bytea)
RETURNS TABLE (timestamp_ms bigint, metric_value double precision)
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE ROWS 240 AS $$
DECLARE
    padded bytea := packed || '\x0000000000000000'::bytea;
    place  integer := 1;
    byte   integer;
    shift  integer := 0;
    rows   integer := 0;
    times  bigint[];
    raw    bigint[];
    scale  integer;
BEGIN
    LOOP
        byte := get_byte(padded, place);
        rows := rows | ((byte & 127) << shift);
        place := place + 1;
        EXIT WHEN byte < 128;
        shift := shift + 7;
    END LOOP;
    WHILE rows > 0 LOOP
        SELECT block.place, block.numbers INTO place, times
        FROM ingest.block_at(padded, least(rows, 64), place) AS block;
        SELECT block.place, block.numbers, block.scale INTO place, raw, scale
        FROM ingest.block_at(padded, least(rows, 64), place) AS block;
        IF scale >= 64 THEN
            RETURN QUERY SELECT at_ms, ingest.float64_of(number << (scale - 64))
            FROM unnest(times, raw) AS sample (at_ms, number);
        ELSE
            RETURN QUERY SELECT at_ms, number / (10::float8 ^ scale)
            FROM unnest(times, raw) AS sample (at_ms, number);
        END IF;
        rows := rows - 64;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION ingest.samples(from_time timestamptz, to_time timestamptz)
RETURNS TABLE (
    metric_name  text,
    metric_value double precision,
    labels       jsonb,
    "timestamp"  timestamptz
)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT series.labels ->> '__name__', sample.metric_value, series.labels - '__name__',
           to_timestamp(sample.timestamp_ms / 1000.0::float8)
    FROM ingest.series
    JOIN ingest.chunk USING (series_id),
    LATERAL (
        SELECT unpacked.timestamp_ms, unpacked.metric_value FROM ingest.unpacked(chunk.packed)
        UNION ALL
        SELECT * FROM unnest(chunk.timestamps_ms, chunk.sample_values)
    ) AS sample (timestamp_ms, metric_value)
    WHERE chunk.hour > from_time - interval '1 hour' AND chunk.hour < to_time
      AND to_timestamp(sample.timestamp_ms / 1000.0::float8) >= from_time
      AND to_timestamp(sample.timestamp_ms / 1000.0::float8) < to_time
    UNION ALL
    SELECT series.labels ->> '__name__', sample.metric_value, series.labels - '__name__', sample.at
    FROM (
        SELECT ingest.int64_at(held.series_ids, place) AS series_id,
               ingest.float64_of(ingest.int64_at(held.sample_values, place)) AS metric_value,
               to_timestamp(ingest.int64_at(held.timestamps_ms, place) / 1000.0::float8) AS at
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
