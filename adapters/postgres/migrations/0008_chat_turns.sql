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
