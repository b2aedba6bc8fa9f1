-- Saved states of components: each component with its newest version, and every version. Versions up to
-- `deleted_through` were deleted. The texts are content of the owner `component_<id>`, which names the tenant.

CREATE TABLE components (
    tenant_id text COLLATE "C" NOT NULL,
    component_id text COLLATE "C" NOT NULL,
    component_type text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    deleted_through bigint NOT NULL,
    deleted boolean NOT NULL,
    saved_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, component_id)
);
CREATE INDEX components_type ON components (tenant_id, component_type, component_id);

CREATE TABLE component_versions (
    tenant_id text COLLATE "C" NOT NULL,
    component_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    component_type text NOT NULL,
    state_hash text NOT NULL,
    metadata_hash text NOT NULL,
    checksum text NOT NULL,
    size bigint NOT NULL,
    saved_by text NOT NULL,
    saved_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, component_id, version)
);
