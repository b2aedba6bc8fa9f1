-- Tokens that providers read from their caches and wrote to them: who prices a call anew needs them. Events have had
-- the former from the beginning.
ALTER TABLE cost_calls
    ADD COLUMN cached_prompt_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN cache_write_tokens bigint NOT NULL DEFAULT 0;
UPDATE cost_calls SET cached_prompt_tokens = settled.cached
FROM (
    SELECT call ->> 'call_id' AS call_id, (call ->> 'attempt')::integer AS attempt,
        (call ->> 'cached_prompt_tokens')::bigint AS cached
    FROM (
        SELECT convert_from(state, 'UTF8')::json AS call FROM ledger_events WHERE topic LIKE 'costs.call_settled/%'
    ) AS events
) AS settled
WHERE settled.cached > 0 AND (cost_calls.call_id, cost_calls.attempt) = (settled.call_id, settled.attempt);
