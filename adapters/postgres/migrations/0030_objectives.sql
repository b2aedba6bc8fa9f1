-- Requests by minute, counted by the API processes. No view: requests are volume, not facts. After four days minutes are
-- summed up as hours. `bucket` n holds durations above 1.1^(n-1) and up to 1.1^n seconds.
CREATE TABLE request_counts (
    at timestamptz NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    class text COLLATE "C" NOT NULL,
    status_class smallint NOT NULL,
    bucket smallint NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (at, tenant_id, class, status_class, bucket)
);

-- Alerts on service level objectives, of the whole deployment: a view.
CREATE TABLE slo_alerts (
    alert_id text COLLATE "C" PRIMARY KEY,
    indicator text NOT NULL,
    rule text NOT NULL,
    severity text NOT NULL,
    threshold double precision NOT NULL,
    opened_value double precision NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_value double precision,
    closed_at timestamptz
);
CREATE INDEX slo_alerts_opened ON slo_alerts (opened_at DESC, alert_id DESC);

-- Turns by their end, across tenants.
CREATE INDEX chat_turns_ended ON chat_turns (ended_at) WHERE ended_at IS NOT NULL;
