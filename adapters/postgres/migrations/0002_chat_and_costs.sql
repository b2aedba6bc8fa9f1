-- Views, folded from the ledger: column order is the order of the row classes' fields.

CREATE TABLE chat_sessions (
    session_id text COLLATE "C" PRIMARY KEY,
    agent_id text NOT NULL,
    key_id text NOT NULL,
    workflow_id text NOT NULL,
    user_id text,
    project_id text,
    status text NOT NULL,
    turns integer NOT NULL,
    opened_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    ended_at timestamptz
);

CREATE TABLE chat_turns (
    session_id text COLLATE "C" NOT NULL,
    turn integer NOT NULL,
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
    PRIMARY KEY (session_id, turn)
);
CREATE INDEX chat_turns_message ON chat_turns (message_id);
CREATE INDEX chat_turns_running ON chat_turns (at) WHERE status = 'running';

CREATE TABLE cost_calls (
    call_id text COLLATE "C" NOT NULL,
    attempt integer NOT NULL,
    state text NOT NULL,
    kind text NOT NULL,
    provider_call_id text,
    model text NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    total_tokens bigint NOT NULL,
    estimated boolean NOT NULL,
    cost numeric NOT NULL,
    worst_case numeric NOT NULL,
    price_version text NOT NULL,
    price_known boolean NOT NULL,
    agent_id text NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    key_id text NOT NULL,
    project_id text,
    error text,
    at timestamptz NOT NULL,
    deadline timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (call_id, attempt)
);
CREATE INDEX cost_calls_at ON cost_calls (at, call_id, attempt);
CREATE INDEX cost_calls_session ON cost_calls (session_id);
CREATE INDEX cost_calls_workflow ON cost_calls (workflow_id);
CREATE INDEX cost_calls_open ON cost_calls (deadline) WHERE state = 'reserved';

CREATE TABLE cost_usage (
    day date NOT NULL,
    agent_id text NOT NULL,
    model text NOT NULL,
    key_id text NOT NULL,
    requests bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cost numeric NOT NULL,
    reserved bigint NOT NULL,
    failed bigint NOT NULL,
    unknown bigint NOT NULL,
    open_cost numeric NOT NULL,
    PRIMARY KEY (day, agent_id, model, key_id)
);
