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

-- 1 while somebody wants a notice of each append, else 0: a notice wakes every session that listens for anything. A
-- sequence, because it is set outside of transactions and read without waiting.
CREATE SEQUENCE ledger_notices MINVALUE 0 START 1;

-- Appends the events of several commands (arrays of equal length) in one transaction, all or none: they share its lock
-- and its flush to disk. Returns the positions, in order; an empty array if there is one key and it was used before. One
-- used key among several violates their uniqueness, as a wrong version does: then each is to be appended by itself. A
-- version that is there already, or that would leave a gap behind it, violates the primary key. Texts go in before the
-- lock, which only the events need. The lock is held to the end of the transaction, so positions become visible in
-- their own order.
CREATE FUNCTION ledger_append_group(
    p_keys text[], p_streams text[], p_versions bigint[], p_topics text[], p_states bytea[],
    p_owners text[], p_hashes text[], p_texts text[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    positions bigint[];
    fresh integer;
BEGIN
    IF cardinality(p_owners) > 0 THEN
        INSERT INTO content (owner, hash, body)
        SELECT * FROM unnest(p_owners, p_hashes, p_texts) ON CONFLICT DO NOTHING;
    END IF;
    PERFORM pg_advisory_xact_lock(7152348);
    INSERT INTO ledger_keys (key) SELECT * FROM unnest(p_keys) ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS fresh = ROW_COUNT;
    IF fresh < cardinality(p_keys) THEN
        IF cardinality(p_keys) = 1 THEN
            RETURN '{}';
        END IF;
        RAISE unique_violation USING MESSAGE = 'a key among several was used before';
    END IF;
    IF (SELECT last_value FROM ledger_notices) > 0 THEN
        PERFORM pg_notify('ledger', '');
    END IF;
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

-- The same for one command.
CREATE FUNCTION ledger_append(
    p_key text, p_streams text[], p_versions bigint[], p_topics text[], p_states bytea[],
    p_owners text[], p_hashes text[], p_texts text[]
) RETURNS bigint[] LANGUAGE sql AS $$
    SELECT ledger_append_group(
        ARRAY[p_key], p_streams, p_versions, p_topics, p_states, p_owners, p_hashes, p_texts
    )
$$;
