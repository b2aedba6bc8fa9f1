-- The catalogue of workflows: each as its newest version describes it, and every version whole. `tenant_id` is `*` of the
-- ready-made ones, which all tenants see.

CREATE TABLE workflows (
    tenant_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    status text NOT NULL,
    steps integer NOT NULL,
    version bigint NOT NULL,
    changes bigint NOT NULL,
    fingerprint text NOT NULL,
    ready_made boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX workflows_id ON workflows (id);

CREATE TABLE workflow_versions (
    tenant_id text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    definition jsonb NOT NULL,
    fingerprint text NOT NULL,
    note text,
    made_by text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, workflow_id, version)
);

-- Runs of workflows and their nodes.

CREATE TABLE executions (
    execution_id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    key_id text NOT NULL,
    project_id text,
    root_id text COLLATE "C" NOT NULL,
    parent_id text COLLATE "C",
    input_hash text NOT NULL,
    context_hash text,
    output_hash text,
    budget_usd numeric,
    node text,
    code text,
    reason text,
    nodes text[] NOT NULL,
    held integer NOT NULL,
    paused boolean NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX executions_of_workflow ON executions (tenant_id, workflow_id, started_at, execution_id);
CREATE INDEX executions_started ON executions (tenant_id, started_at, execution_id);
-- Across tenants: what was lost.
CREATE INDEX executions_unended ON executions (started_at) WHERE ended_at IS NULL;

CREATE TABLE execution_nodes (
    execution_id text COLLATE "C" NOT NULL,
    node text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    place integer NOT NULL,
    type text NOT NULL,
    status text NOT NULL,
    visits integer NOT NULL,
    attempts integer NOT NULL,
    approval_id text,
    child_id text COLLATE "C",
    items integer,
    items_ended integer NOT NULL,
    output_hash text,
    as_text boolean NOT NULL,
    code text,
    error text,
    compensated boolean NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    compensation text,
    compensation_error text,
    PRIMARY KEY (execution_id, node)
);
