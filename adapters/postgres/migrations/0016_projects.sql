-- Clients and projects that are not deleted. Their texts stay in `content`, as those of talents do.

CREATE TABLE clients (
    tenant_id text COLLATE "C" NOT NULL,
    id bigint NOT NULL,
    profile_hash text COLLATE "C" NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE projects (
    tenant_id text COLLATE "C" NOT NULL,
    id bigint NOT NULL,
    texts_hash text COLLATE "C" NOT NULL,
    status text NOT NULL,
    client_id bigint,
    budget_usd numeric,
    start_date date,
    end_date date,
    members bigint[] NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
