-- Limits on cost, and what counts against them. These tables are views that every append of a model call's events keeps
-- up to date itself, under the ledger's lock: so a reservation that exceeds a limit is refused with its whole append.

-- No append may fall between the count of the events so far and the function that counts from then on.
SELECT pg_advisory_xact_lock(7152348);

-- The cost of each scope on each day (UTC) of a reservation: of answered calls, of open ones at their worst case, and
-- of those whose end is unknown at theirs.
CREATE TABLE cost_counters (
    scope text COLLATE "C" NOT NULL,
    day date NOT NULL,
    spent numeric NOT NULL,
    reserved numeric NOT NULL,
    unknown numeric NOT NULL,
    PRIMARY KEY (scope, day)
);

CREATE TABLE cost_limits (
    scope text COLLATE "C" NOT NULL,
    period text NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    limit_usd numeric NOT NULL,
    on_breach text NOT NULL,
    version bigint NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL,
    PRIMARY KEY (scope, period)
);

-- What a run may spend beyond a limit within one window, and what of it is used. Calls that were reserved after
-- `position` count here, and not against the limit.
CREATE TABLE cost_allowances (
    run_id text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    period text NOT NULL,
    starts date NOT NULL,
    granted numeric NOT NULL,
    spent numeric NOT NULL,
    reserved numeric NOT NULL,
    unknown numeric NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (run_id, scope, period, starts)
);
CREATE INDEX cost_allowances_limit ON cost_allowances (scope, period, starts);

-- The first day of the window that holds a day, and the first day after it.
CREATE FUNCTION cost_window_start(p_period text, p_day date) RETURNS date LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_period
        WHEN 'day' THEN p_day
        WHEN 'week' THEN date_trunc('week', p_day::timestamp)::date
        WHEN 'month' THEN date_trunc('month', p_day::timestamp)::date
        ELSE DATE '1970-01-01'
    END
$$;
CREATE FUNCTION cost_window_end(p_period text, p_start date) RETURNS date LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_period
        WHEN 'day' THEN p_start + 1
        WHEN 'week' THEN p_start + 7
        WHEN 'month' THEN (p_start + interval '1 month')::date
        ELSE DATE 'infinity'
    END
$$;

-- Counts the events of an append, which are in the ledger already, and refuses the append if one of its reservations
-- exceeds a limit. Several commands share an append: what some of them release is left out of account then, because it
-- may follow the reservation. A refused group is appended again one by one, and then the sums are exact.
CREATE FUNCTION cost_count(
    p_topics text[], p_states bytea[], p_versions bigint[], p_positions bigint[], p_commands integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    e jsonb;
    made jsonb;
    made_at bigint;
    other record;
    allowance record;
    bound record;
    tenant text;
    made_on date;
    worst numeric;
    charge numeric[];
    before numeric[];
    scopes text[];
    has_allowances boolean := EXISTS (SELECT FROM cost_allowances);
    has_limits boolean := EXISTS (SELECT FROM cost_limits);
    -- one element for each event that changes a count
    n integer := 0;
    days date[] := '{}';
    more_spent numeric[] := '{}';
    more_reserved numeric[] := '{}';
    more_unknown numeric[] := '{}';
    -- one element for each scope of such an event, with the number of the event
    counted_scopes text[] := '{}';
    counted integer[] := '{}';
    -- the reservations among them
    asked integer[] := '{}';
    reservations jsonb[] := '{}';
    asked_at bigint[] := '{}';
    window_start date;
    in_use numeric;
BEGIN
    FOR i IN 1 .. cardinality(p_topics) LOOP
        CONTINUE WHEN p_topics[i] NOT LIKE 'costs.%';
        e := convert_from(p_states[i], 'UTF8')::jsonb;
        CASE p_topics[i]
            WHEN 'costs.call_reserved/1' THEN
                made := e;
                made_at := p_positions[i];
                before := '{0,0,0}';
                charge := ARRAY[0, (e->>'worst_case')::numeric, 0];
            WHEN 'costs.call_settled/1', 'costs.call_cut/1', 'costs.call_failed/1', 'costs.call_lost/1',
                 'costs.call_reconciled/1' THEN
                made := NULL;
                FOR other IN
                    SELECT topic, notification_id, convert_from(state, 'UTF8')::jsonb AS e FROM ledger_events
                    WHERE originator_id = 'call:' || (e->>'call_id') AND notification_id < p_positions[i]
                    ORDER BY originator_version
                LOOP
                    CONTINUE WHEN other.e->'attempt' IS DISTINCT FROM e->'attempt';
                    IF other.topic = 'costs.call_reserved/1' THEN
                        made := other.e;
                        made_at := other.notification_id;
                        before := ARRAY[0, (made->>'worst_case')::numeric, 0];
                    ELSIF other.topic = 'costs.call_lost/1' THEN
                        before := ARRAY[0, 0, (made->>'worst_case')::numeric];
                    ELSE
                        before := ARRAY[coalesce((other.e->>'cost')::numeric, 0), 0, 0];
                    END IF;
                END LOOP;
                CONTINUE WHEN made IS NULL;
                IF p_topics[i] = 'costs.call_lost/1' THEN
                    charge := ARRAY[0, 0, (made->>'worst_case')::numeric];
                ELSE
                    charge := ARRAY[coalesce((e->>'cost')::numeric, 0), 0, 0];
                END IF;
            WHEN 'costs.limit_set/1' THEN
                IF e->>'limit_usd' IS NULL THEN
                    DELETE FROM cost_limits WHERE scope = e->>'scope' AND period = e->>'window';
                ELSE
                    INSERT INTO cost_limits AS l VALUES (
                        e->>'scope', e->>'window', CASE WHEN e->>'scope' = 'global' THEN '*' ELSE e->>'tenant_id' END,
                        (e->>'limit_usd')::numeric, e->>'on_breach', p_versions[i], e->>'by', (e->>'at')::timestamptz
                    ) ON CONFLICT (scope, period) DO UPDATE SET limit_usd = excluded.limit_usd,
                        on_breach = excluded.on_breach, version = excluded.version, set_by = excluded.set_by,
                        set_at = excluded.set_at;
                    has_limits := true;
                END IF;
                CONTINUE;
            WHEN 'costs.allowance_granted/1' THEN
                INSERT INTO cost_allowances AS a VALUES (
                    e->>'run_id', e->>'scope', e->>'window', (e->>'starts')::date,
                    trim_scale((e->>'amount_usd')::numeric), 0, 0, 0, p_positions[i]
                ) ON CONFLICT (run_id, scope, period, starts) DO UPDATE
                    SET granted = trim_scale(a.granted + excluded.granted);
                has_allowances := true;
                CONTINUE;
            ELSE
                CONTINUE;
        END CASE;
        tenant := coalesce(made->>'tenant_id', 'default');
        scopes := ARRAY[
            'global', 'tenant:' || tenant, 'key:' || tenant || '/' || (made->>'key_id'),
            'agent:' || tenant || '/' || (made->>'agent_id'), 'workflow:' || tenant || '/' || (made->>'workflow_id')
        ];
        IF made->>'project_id' IS NOT NULL THEN
            scopes := scopes || ('project:' || tenant || '/' || (made->>'project_id'));
        END IF;
        IF jsonb_array_length(coalesce(made->'enclosing_runs', '[]')) > 0 THEN
            scopes := scopes || ARRAY(
                SELECT 'workflow:' || tenant || '/' || run FROM jsonb_array_elements_text(made->'enclosing_runs') AS r (run)
            );
        END IF;
        made_on := ((made->>'at')::timestamptz AT TIME ZONE 'UTC')::date;
        n := n + 1;
        days[n] := made_on;
        more_spent[n] := charge[1] - before[1];
        more_reserved[n] := charge[2] - before[2];
        more_unknown[n] := charge[3] - before[3];
        counted_scopes := counted_scopes || scopes;
        counted := counted || array_fill(n, ARRAY[cardinality(scopes)]);
        IF has_allowances THEN
            UPDATE cost_allowances AS a SET spent = trim_scale(a.spent + charge[1] - before[1]),
                reserved = trim_scale(a.reserved + charge[2] - before[2]),
                unknown = trim_scale(a.unknown + charge[3] - before[3])
            WHERE run_id = made->>'workflow_id' AND scope = ANY(scopes) AND starts = cost_window_start(period, made_on)
                AND position < made_at;
        END IF;
        IF p_topics[i] = 'costs.call_reserved/1' THEN
            asked := asked || n;
            reservations := array_append(reservations, e);
            asked_at := asked_at || p_positions[i];
        END IF;
    END LOOP;
    IF n = 0 THEN
        RETURN;
    END IF;
    INSERT INTO cost_counters AS c (scope, day, spent, reserved, unknown)
    SELECT s.scope, days[s.k], trim_scale(sum(more_spent[s.k])), trim_scale(sum(more_reserved[s.k])),
        trim_scale(sum(more_unknown[s.k]))
    FROM unnest(counted_scopes, counted) AS s (scope, k) GROUP BY 1, 2
    ON CONFLICT (scope, day) DO UPDATE SET spent = trim_scale(c.spent + excluded.spent),
        reserved = trim_scale(c.reserved + excluded.reserved), unknown = trim_scale(c.unknown + excluded.unknown);
    IF NOT has_limits THEN
        RETURN;
    END IF;
    FOR j IN 1 .. cardinality(asked) LOOP
        e := reservations[j];
        worst := (e->>'worst_case')::numeric;
        FOR bound IN
            SELECT l.* FROM cost_limits AS l
            WHERE l.scope IN (SELECT s.scope FROM unnest(counted_scopes, counted) AS s (scope, k) WHERE s.k = asked[j])
            ORDER BY l.on_breach DESC, l.scope, l.period
        LOOP
            window_start := cost_window_start(bound.period, days[asked[j]]);
            IF e->>'price_version' = 'none' THEN
                PERFORM cost_refuse('unpriced', bound.scope, bound.period, window_start, e, 0, 0, 0, 'fail');
            END IF;
            CONTINUE WHEN worst = 0;
            SELECT a.granted, a.spent, a.reserved + a.unknown AS open INTO allowance FROM cost_allowances AS a
            WHERE a.run_id = e->>'workflow_id' AND a.scope = bound.scope AND a.period = bound.period
                AND a.starts = window_start AND a.position < asked_at[j];
            IF FOUND THEN
                IF p_commands > 1 THEN
                    RAISE unique_violation USING MESSAGE = 'an allowance is used: append one by one';
                END IF;
                IF allowance.spent + allowance.open > allowance.granted THEN
                    PERFORM cost_refuse('exceeded', bound.scope, bound.period, window_start, e, bound.limit_usd,
                        allowance.spent, allowance.open - worst, bound.on_breach, allowance.granted);
                END IF;
                CONTINUE;
            END IF;
            SELECT coalesce(sum(c.spent), 0) AS spent, coalesce(sum(c.reserved + c.unknown), 0) AS open INTO other
            FROM cost_counters AS c WHERE c.scope = bound.scope AND c.day >= window_start
                AND c.day < cost_window_end(bound.period, window_start);
            SELECT coalesce(sum(a.spent), 0) AS spent, coalesce(sum(a.reserved + a.unknown), 0) AS open INTO allowance
            FROM cost_allowances AS a
            WHERE a.scope = bound.scope AND a.period = bound.period AND a.starts = window_start;
            in_use := other.spent + other.open - allowance.spent - allowance.open;
            IF p_commands > 1 THEN
                in_use := in_use - coalesce((
                    SELECT sum(least(more_spent[s.k] + more_reserved[s.k] + more_unknown[s.k], 0))
                    FROM unnest(counted_scopes, counted) AS s (scope, k)
                    WHERE s.scope = bound.scope AND days[s.k] >= window_start
                        AND days[s.k] < cost_window_end(bound.period, window_start)
                ), 0);
            END IF;
            IF in_use > bound.limit_usd THEN
                PERFORM cost_refuse('exceeded', bound.scope, bound.period, window_start, e, bound.limit_usd,
                    other.spent - allowance.spent, other.open - allowance.open - worst, bound.on_breach);
            END IF;
        END LOOP;
    END LOOP;
END
$$;

-- Refuses an append because of a limit. The code is read by `adapters/postgres/ledger/recorder.py`.
CREATE FUNCTION cost_refuse(
    p_reason text, p_scope text, p_period text, p_starts date, p_reservation jsonb, p_limit numeric, p_spent numeric,
    p_reserved numeric, p_on_breach text, p_granted numeric DEFAULT 0
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'CVB01', MESSAGE = 'a limit on cost does not cover this call', DETAIL =
        jsonb_build_object(
            'reason', p_reason, 'scope', p_scope, 'window', p_period, 'starts', p_starts,
            'limit_usd', trim_scale(p_limit)::text, 'spent_usd', trim_scale(p_spent)::text,
            'reserved_usd', trim_scale(p_reserved)::text, 'asked_usd', p_reservation->>'worst_case',
            'on_breach', p_on_breach, 'run_id', p_reservation->>'workflow_id', 'model', p_reservation->>'model',
            'granted_usd', trim_scale(p_granted)::text
        )::text;
END
$$;

-- As before, and counts what the events cost.
CREATE OR REPLACE FUNCTION ledger_append_group(
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
    IF p_topics && ARRAY[
        'costs.call_reserved/1', 'costs.call_settled/1', 'costs.call_cut/1', 'costs.call_failed/1', 'costs.call_lost/1',
        'costs.call_reconciled/1', 'costs.limit_set/1', 'costs.allowance_granted/1'
    ] THEN
        PERFORM cost_count(p_topics, p_states, p_versions, positions, cardinality(p_keys));
    END IF;
    RETURN positions;
END
$$;

-- The events so far, in their order.
DO $$
DECLARE
    seen bigint := 0;
    batch record;
BEGIN
    LOOP
        SELECT array_agg(topic ORDER BY notification_id) AS topics, array_agg(state ORDER BY notification_id) AS states,
            array_agg(originator_version ORDER BY notification_id) AS versions,
            array_agg(notification_id ORDER BY notification_id) AS positions
        INTO batch FROM (
            SELECT * FROM ledger_events WHERE notification_id > seen ORDER BY notification_id LIMIT 1000
        ) AS e;
        EXIT WHEN batch.positions IS NULL;
        PERFORM cost_count(batch.topics, batch.states, batch.versions, batch.positions, 1);
        seen := batch.positions[cardinality(batch.positions)];
    END LOOP;
END
$$;
