-- Views, folded from the ledger. In all of them column order is the order of the row classes' fields, and `tenant_id` is
-- whose a row is, as the events say.

CREATE TABLE chat_sessions (
    session_id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    agent_id text NOT NULL,
    key_id text NOT NULL,
    workflow_id text NOT NULL,
    user_id text,
    project_id text,
    status text NOT NULL,
    turns integer NOT NULL,
    opened_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    ended_at timestamptz,
    origin_session_id text,
    origin_turn integer
);
CREATE INDEX chat_sessions_tenant ON chat_sessions (tenant_id, last_at, session_id);

CREATE TABLE chat_turns (
    session_id text COLLATE "C" NOT NULL,
    turn integer NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    message_id text NOT NULL,
    message_hash text NOT NULL,
    reply_hash text,
    agent_id text NOT NULL,
    agent_version integer NOT NULL,
    status text NOT NULL,
    visits integer NOT NULL,
    model text NOT NULL,
    finish text,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cost numeric NOT NULL,
    code text,
    error text,
    at timestamptz NOT NULL,
    ended_at timestamptz,
    approval_id text,
    rating integer,
    tools text[] NOT NULL,
    steps integer NOT NULL,
    origin_session_id text,
    PRIMARY KEY (session_id, turn)
);
CREATE INDEX chat_turns_tenant ON chat_turns (tenant_id, at);
CREATE INDEX chat_turns_message ON chat_turns (message_id);
-- Across tenants: what is overdue.
CREATE INDEX chat_turns_running ON chat_turns (at) WHERE status = 'running';
CREATE INDEX chat_turns_held ON chat_turns (at) WHERE status = 'awaiting_approval';
