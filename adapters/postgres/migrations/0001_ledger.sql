-- The ledger: every fact, in one order.

CREATE TABLE ledger_events (
    originator_id text COLLATE "C" NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    notification_id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX ledger_events_position ON ledger_events (notification_id);

-- Idempotency keys of appends.
CREATE TABLE ledger_keys (
    key text COLLATE "C" PRIMARY KEY
);

-- Text of people and models; events hold its hash.
CREATE TABLE content (
    owner text COLLATE "C" NOT NULL,
    hash text COLLATE "C" NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (owner, hash)
);

-- Appends events (arrays of equal length) and stores texts, under an idempotency key. Returns the positions, in order;
-- an empty array if the key was used before. A version that is there already, or that would leave a gap behind it,
-- violates the primary key. Texts go in before the lock, which only the events need. The lock
-- is held to the end of the transaction, so positions become visible in their own order.
CREATE FUNCTION ledger_append(
    p_key text, p_streams text[], p_versions bigint[], p_topics text[], p_states bytea[],
    p_owners text[], p_hashes text[], p_texts text[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    positions bigint[];
BEGIN
    IF cardinality(p_owners) > 0 THEN
        INSERT INTO content (owner, hash, body)
        SELECT * FROM unnest(p_owners, p_hashes, p_texts) ON CONFLICT DO NOTHING;
    END IF;
    PERFORM pg_advisory_xact_lock(7152348);
    INSERT INTO ledger_keys (key) VALUES (p_key) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN '{}';
    END IF;
    PERFORM pg_notify('ledger', '');
    WITH appended AS (
        INSERT INTO ledger_events (originator_id, originator_version, topic, state)
        SELECT stream, version, topic, state
        FROM unnest(p_streams, p_versions, p_topics, p_states) WITH ORDINALITY
            AS e (stream, version, topic, state, n)
        ORDER BY n
        RETURNING notification_id
    )
    SELECT array_agg(notification_id ORDER BY notification_id) INTO positions FROM appended;
    FOR i IN 1 .. cardinality(p_versions) LOOP
        CONTINUE WHEN p_versions[i] = 1 OR (p_streams[i - 1] = p_streams[i] AND p_versions[i - 1] = p_versions[i] - 1);
        PERFORM FROM ledger_events WHERE originator_id = p_streams[i] AND originator_version = p_versions[i] - 1;
        IF NOT FOUND THEN
            RAISE unique_violation USING MESSAGE = 'a stream has not come to the version before';
        END IF;
    END LOOP;
    RETURN positions;
END
$$;

-- How far each projection has come. The row is locked by whoever moves it.
CREATE TABLE projection_positions (
    projection text PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT now()
);

-- Events that a projection could not take, and the later ones of the same streams.
CREATE TABLE projection_dead_letters (
    projection text NOT NULL,
    position bigint NOT NULL,
    stream text COLLATE "C" NOT NULL,
    error text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, position)
);
CREATE INDEX projection_dead_letters_stream ON projection_dead_letters (projection, stream);

-- Vectors of the knowledge store live in this database too.
CREATE EXTENSION IF NOT EXISTS vector;
