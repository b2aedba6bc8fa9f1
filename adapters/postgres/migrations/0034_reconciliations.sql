-- Findings of reconciliations, by number. No view: reports in the ledger name them by their hash.
CREATE TABLE reconciliation_findings (
    reconciliation_id text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    n integer NOT NULL,
    outcome text NOT NULL,
    line integer,
    call_id text,
    attempt integer,
    provider_call_id text,
    at timestamptz,
    model text,
    key_id text,
    state text,
    billed_requests bigint,
    billed_prompt_tokens bigint,
    billed_completion_tokens bigint,
    billed_cost numeric,
    booked_requests bigint,
    booked_prompt_tokens bigint,
    booked_completion_tokens bigint,
    booked_cost numeric,
    detail text,
    PRIMARY KEY (reconciliation_id, n)
);
CREATE INDEX reconciliation_findings_lines ON reconciliation_findings (reconciliation_id, line, n);
CREATE INDEX reconciliation_findings_tenant ON reconciliation_findings (tenant_id);
