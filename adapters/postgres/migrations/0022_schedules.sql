-- Schedules, and each firing of one. Names, targets and reasons are content of the owner `<schedule_id>`.

CREATE TABLE schedules (
    schedule_id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    target_kind text NOT NULL,
    target_id text,
    name_hash text,
    cron text,
    every_s bigint,
    timezone text NOT NULL,
    start_at timestamptz,
    end_at timestamptz,
    overlap text NOT NULL,
    catchup_window_s bigint NOT NULL,
    paused boolean NOT NULL,
    deleted boolean NOT NULL,
    revision bigint NOT NULL,
    created_by text NOT NULL,
    maker text NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL
);
CREATE INDEX schedules_newest ON schedules (tenant_id, created_at DESC, schedule_id DESC) WHERE NOT deleted;
CREATE INDEX schedules_known ON schedules (schedule_id) WHERE NOT deleted;

CREATE TABLE schedule_firings (
    firing_id text COLLATE "C" PRIMARY KEY,
    schedule_id text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    trigger text NOT NULL,
    revision bigint NOT NULL,
    scheduled_at timestamptz NOT NULL,
    fired_at timestamptz NOT NULL,
    fired_by text NOT NULL,
    status text NOT NULL,
    target_id text,
    run_kind text,
    run_id text,
    code text,
    reason_hash text
);
CREATE INDEX schedule_firings_newest ON schedule_firings (schedule_id, scheduled_at DESC, firing_id DESC);
