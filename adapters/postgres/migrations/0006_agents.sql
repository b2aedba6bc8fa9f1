-- The registry of agents: each as its deployed version describes it, and every version whole. `tenant_id` is `*` of those
-- that came with the platform, which all tenants see.

CREATE TABLE agents (
    tenant_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    status text NOT NULL,
    capabilities text[] NOT NULL,
    tools text[] NOT NULL,
    color text NOT NULL,
    aliases text[] NOT NULL,
    model text,
    temperature double precision,
    fingerprint text NOT NULL,
    version bigint NOT NULL,
    deployed_version bigint,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    approval text NOT NULL,
    environment text,
    newest_version bigint NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX agents_id ON agents (id);
CREATE INDEX agents_aliases ON agents USING gin (aliases);

CREATE TABLE agent_versions (
    tenant_id text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    definition jsonb NOT NULL,
    fingerprint text NOT NULL,
    made_by text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, version)
);
