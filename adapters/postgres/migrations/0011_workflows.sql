-- The catalogue of workflows: each as its newest version describes it, and every version whole.

CREATE TABLE workflows (
    id text COLLATE "C" PRIMARY KEY,
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
    retired_at timestamptz
);

CREATE TABLE workflow_versions (
    workflow_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    definition jsonb NOT NULL,
    fingerprint text NOT NULL,
    note text,
    made_by text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (workflow_id, version)
);
