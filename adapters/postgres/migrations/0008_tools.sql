-- Tool calls.

CREATE TABLE tool_calls (
    tool_call_id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    turn integer NOT NULL,
    step integer NOT NULL,
    name text NOT NULL,
    agent_id text NOT NULL,
    key_id text NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    project_id text,
    state text NOT NULL,
    effect text,
    arguments_hash text NOT NULL,
    result_hash text,
    sources text[] NOT NULL,
    at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX tool_calls_tenant ON tool_calls (tenant_id, at, tool_call_id);
CREATE INDEX tool_calls_session ON tool_calls (session_id, turn);
CREATE INDEX tool_calls_workflow ON tool_calls (workflow_id);
