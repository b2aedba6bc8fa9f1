-- Alerts on cost, and the latest firing of each.
CREATE TABLE cost_alerts (
    alert_id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    period text NOT NULL,
    measure text NOT NULL,
    threshold_usd numeric,
    threshold_pct numeric,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL,
    fired_starts date,
    fired_at timestamptz,
    fired_value_usd numeric,
    fired_threshold_usd numeric
);
CREATE INDEX cost_alerts_tenant ON cost_alerts (tenant_id, created_at, alert_id);
