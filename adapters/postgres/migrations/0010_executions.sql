-- Runs of workflows and their nodes, folded from the ledger. Column order is the order of the row classes' fields.

CREATE TABLE executions (
    execution_id text COLLATE "C" PRIMARY KEY,
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
CREATE INDEX executions_of_workflow ON executions (workflow_id, started_at, execution_id);
CREATE INDEX executions_started ON executions (key_id, started_at, execution_id);
CREATE INDEX executions_unended ON executions (started_at) WHERE ended_at IS NULL;

CREATE TABLE execution_nodes (
    execution_id text COLLATE "C" NOT NULL,
    node text COLLATE "C" NOT NULL,
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
    PRIMARY KEY (execution_id, node)
);
