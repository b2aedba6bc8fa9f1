-- The registry of agents: each as its deployed version describes it, and every version whole.

CREATE TABLE agents (
    id text COLLATE "C" PRIMARY KEY,
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
    updated_at timestamptz NOT NULL
);
CREATE INDEX agents_aliases ON agents USING gin (aliases);

CREATE TABLE agent_versions (
    agent_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    definition jsonb NOT NULL,
    fingerprint text NOT NULL,
    made_by text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (agent_id, version)
);
