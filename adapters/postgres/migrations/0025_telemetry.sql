-- Telemetry: events that callers send, apart from the ledger, in a partition for each UTC day. `key` tells a repeat.
CREATE TABLE telemetry_events (
    day date NOT NULL,
    at timestamptz NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    key uuid,
    event_type text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    duration_ms double precision,
    tokens_used bigint,
    success boolean,
    metadata text
) PARTITION BY RANGE (day);
CREATE UNIQUE INDEX telemetry_events_key ON telemetry_events (tenant_id, key, day) WHERE key IS NOT NULL;

-- A partition is made as a table first and attached then: that takes a lock under which others go on inserting.
CREATE FUNCTION create_telemetry_partition(of_day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'telemetry_events_' || to_char(of_day, 'YYYYMMDD');
BEGIN
    PERFORM pg_advisory_xact_lock(7152351);
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE telemetry_events INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE telemetry_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       name, of_day, of_day + 1);
    END IF;
END
$$;

CREATE FUNCTION drop_telemetry_before(first date) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    name text;
    dropped bigint := 0;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'telemetry_events'::regclass
          AND c.relname < 'telemetry_events_' || to_char(first, 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE %I', name);
        dropped := dropped + 1;
    END LOOP;
    IF dropped > 0 THEN
        DELETE FROM telemetry_rollups WHERE at < first::timestamp AT TIME ZONE 'UTC';
    END IF;
    RETURN dropped;
END
$$;

-- The bucket of a value in a sketch with a relative error of 1 % (`domain/telemetry/sketch.py`): ceil(log(value) to the
-- base 1.01 / 0.99), and that of zero for all up to 0.001.
CREATE FUNCTION telemetry_bucket(value double precision) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN value <= 0.001 THEN -32768 ELSE ceil(ln(value) / ln(1.01 / 0.99::double precision)) END::smallint;

-- Sums of events: of a minute (`resolution` 1), as they were written or merged into one; of an hour (60), and of a day
-- (1440). An event is counted in minutes, or in one hour and one day. Rows of the same key add up, so none is unique.
-- Merged rows have margins, so that sums over all agents or types read few rows: `margin` is 0 for a type and an agent, 1
-- for a type and all agents, 2 for an agent and all types, 3 for all; what is all is ''. Rows as written have margin 0.
CREATE TABLE telemetry_rollups (
    tenant_id text COLLATE "C" NOT NULL,
    resolution smallint NOT NULL,
    margin smallint NOT NULL,
    at timestamptz NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    merged boolean NOT NULL,
    events bigint NOT NULL,
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    durations bigint NOT NULL,
    duration_total double precision NOT NULL,
    duration_largest double precision,
    duration_buckets smallint[] NOT NULL,
    duration_counts bigint[] NOT NULL,
    tokens bigint NOT NULL,
    token_total numeric NOT NULL,
    token_largest bigint,
    token_buckets smallint[] NOT NULL,
    token_counts bigint[] NOT NULL
);
CREATE INDEX telemetry_rollups_at ON telemetry_rollups (tenant_id, resolution, margin, at);
-- Across tenants: what is to be merged.
CREATE INDEX telemetry_rollups_written ON telemetry_rollups (at) WHERE NOT merged;
CREATE INDEX telemetry_rollups_minutes ON telemetry_rollups (at) WHERE merged AND resolution = 1;
