-- Swarms and their members.

CREATE TABLE swarms (
    task_id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    mode text NOT NULL,
    status text NOT NULL,
    stage text,
    members text[] NOT NULL,
    coordinator text NOT NULL,
    key_id text NOT NULL,
    project_id text,
    task_hash text NOT NULL,
    context_hash text,
    rounds integer NOT NULL,
    deadline timestamptz,
    budget_usd numeric,
    require_approval boolean NOT NULL,
    planned integer NOT NULL,
    turns integer NOT NULL,
    held integer NOT NULL,
    approval_id text,
    result_hash text,
    partial boolean NOT NULL,
    code text,
    reason text,
    requested_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX swarms_requested ON swarms (tenant_id, requested_at, task_id);
-- Across tenants: what was lost.
CREATE INDEX swarms_unended ON swarms (requested_at) WHERE ended_at IS NULL;

CREATE TABLE swarm_members (
    task_id text COLLATE "C" NOT NULL,
    seat text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    place integer NOT NULL,
    agent_id text NOT NULL,
    agent_version integer NOT NULL,
    coordinating boolean NOT NULL,
    status text NOT NULL,
    stage text,
    turns integer NOT NULL,
    reply_hash text,
    code text,
    error text,
    PRIMARY KEY (task_id, seat)
);
