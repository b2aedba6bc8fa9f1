-- Appends of several commands in one transaction, all or none: they share its lock and its flush to disk. Returns the
-- positions, in order; an empty array if there is one key and it was used before. One used key among several violates
-- their uniqueness, as a wrong version does: then each is to be appended by itself.
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

-- For processes of the release before.
CREATE OR REPLACE FUNCTION ledger_append(
    p_key text, p_streams text[], p_versions bigint[], p_topics text[], p_states bytea[],
    p_owners text[], p_hashes text[], p_texts text[]
) RETURNS bigint[] LANGUAGE sql AS $$
    SELECT ledger_append_group(
        ARRAY[p_key], p_streams, p_versions, p_topics, p_states, p_owners, p_hashes, p_texts
    )
$$;
