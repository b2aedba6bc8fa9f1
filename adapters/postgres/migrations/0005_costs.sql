-- Every attempt at a model call, and what was used.

CREATE TABLE cost_calls (
    call_id text COLLATE "C" NOT NULL,
    attempt integer NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
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
    refused text,
    PRIMARY KEY (call_id, attempt)
);
CREATE INDEX cost_calls_tenant ON cost_calls (tenant_id, at, call_id, attempt);
CREATE INDEX cost_calls_session ON cost_calls (session_id);
CREATE INDEX cost_calls_workflow ON cost_calls (workflow_id);
-- Across tenants: what is overdue, and what models take.
CREATE INDEX cost_calls_open ON cost_calls (deadline) WHERE state = 'reserved';
CREATE INDEX cost_calls_refused ON cost_calls (model, ended_at) WHERE refused IS NOT NULL;

CREATE TABLE cost_usage (
    tenant_id text COLLATE "C" NOT NULL,
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
    PRIMARY KEY (tenant_id, day, agent_id, model, key_id)
);
