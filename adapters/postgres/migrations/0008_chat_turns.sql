-- Turns that take steps, wait for people, are rated and inherited. No event of before has any of this, so for the rows
-- that are there these defaults are what a rebuild would give them.
ALTER TABLE chat_sessions
    ADD COLUMN origin_session_id text,
    ADD COLUMN origin_turn integer;
ALTER TABLE chat_turns
    ADD COLUMN approval_id text,
    ADD COLUMN rating integer,
    ADD COLUMN tools text[] NOT NULL DEFAULT '{}',
    ADD COLUMN steps integer NOT NULL DEFAULT 0,
    ADD COLUMN origin_session_id text;
CREATE INDEX chat_turns_held ON chat_turns (at) WHERE status = 'awaiting_approval';

-- Agents that people make: the newest version beside the deployed one, where it was deployed to, and their end. What the
-- events of before say is filled in from them, as a rebuild would.
ALTER TABLE agents
    ADD COLUMN approval text NOT NULL DEFAULT 'none',
    ADD COLUMN environment text,
    ADD COLUMN newest_version bigint NOT NULL DEFAULT 1,
    ADD COLUMN retired_at timestamptz;
UPDATE agents SET newest_version = (SELECT max(v.version) FROM agent_versions AS v WHERE v.agent_id = agents.id);
UPDATE agents SET retired_at = (convert_from(e.state, 'UTF8')::jsonb ->> 'at')::timestamptz
FROM ledger_events AS e WHERE e.originator_id = 'agent:' || agents.id AND e.topic LIKE 'agent.retired/%';
UPDATE agent_versions SET definition = '{"approval": "none"}' || definition;
