-- Runs of runbooks and their steps: views. Parameters and results are ids and numbers.
CREATE TABLE runbook_runs (
    run_id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    runbook_id text NOT NULL,
    parameters jsonb NOT NULL,
    dry_run boolean NOT NULL,
    status text NOT NULL,
    approval_id text,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    ended_at timestamptz,
    code text,
    error text
);
CREATE INDEX runbook_runs_requested ON runbook_runs (tenant_id, requested_at DESC, run_id DESC);
CREATE INDEX runbook_runs_running ON runbook_runs (requested_at, run_id) WHERE ended_at IS NULL;

CREATE TABLE runbook_steps (
    run_id text COLLATE "C" NOT NULL,
    step text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    status text NOT NULL,
    attempts bigint NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    result jsonb,
    code text,
    error text,
    PRIMARY KEY (run_id, step)
);

-- Workers that were told to stop polling, by their identity in Temporal. No view: workers look here.
CREATE TABLE worker_drains (
    worker text COLLATE "C" PRIMARY KEY,
    run_id text COLLATE "C" NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    drained_at timestamptz
);

-- Across tenants: the open approvals whose time has passed.
CREATE INDEX approvals_expiry ON approvals (expires_at, id) WHERE status IN ('pending', 'escalated');
