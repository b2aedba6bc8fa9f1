-- Approvals as they stand, and every step of the way there.

CREATE TABLE approvals (
    id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    risk text NOT NULL,
    title text NOT NULL,
    status text NOT NULL,
    agent_id text NOT NULL,
    owner text COLLATE "C" NOT NULL,
    content_hash text COLLATE "C" NOT NULL,
    payload_hash text COLLATE "C",
    workflow_id text COLLATE "C" NOT NULL,
    waiter_id text COLLATE "C" NOT NULL,
    requested_by text NOT NULL,
    project_id text,
    session_id text,
    turn integer,
    deciders text[] NOT NULL,
    agreed text[] NOT NULL,
    quorum integer NOT NULL,
    separation boolean NOT NULL,
    on_expiry text NOT NULL,
    reminders integer NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    escalated_at timestamptz,
    decided_at timestamptz,
    decided_by text,
    comment_hash text COLLATE "C",
    edited_hash text COLLATE "C",
    version bigint NOT NULL
);
CREATE INDEX approvals_created ON approvals (tenant_id, created_at, id);
CREATE INDEX approvals_open ON approvals (tenant_id, created_at, id) WHERE status IN ('pending', 'escalated');
CREATE INDEX approvals_workflow ON approvals (workflow_id);

CREATE TABLE approval_steps (
    approval_id text COLLATE "C" NOT NULL,
    step bigint NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    event text NOT NULL,
    status text NOT NULL,
    by text NOT NULL,
    because text NOT NULL,
    at timestamptz NOT NULL,
    passed_to text[],
    reason text,
    comment_hash text COLLATE "C",
    content_hash text COLLATE "C",
    PRIMARY KEY (approval_id, step)
);

-- What callers whose keys were checked want done with approvals. Only the API writes here: nothing that a caller can
-- store as a text, and nothing in Temporal, is an instruction.
CREATE TABLE approval_instructions (
    approval_id text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    hash text COLLATE "C" NOT NULL,
    body text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (approval_id, hash)
);
