-- The audit: the cause of each event. Every index ends in the order of reading, so that a page is one short range of it.

CREATE TABLE audit (
    position bigint PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    kind text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    by text COLLATE "C" NOT NULL,
    because text COLLATE "C" NOT NULL
);
CREATE INDEX audit_at ON audit (tenant_id, at, position);
CREATE INDEX audit_by ON audit (tenant_id, by, at, position);
CREATE INDEX audit_kind ON audit (tenant_id, kind, at, position);
CREATE INDEX audit_subject ON audit (tenant_id, subject, at, position);
