-- API keys but their texts, and the tenants that they act in. Names are content, by the owner that the id gives.

CREATE TABLE api_keys (
    id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    name_hash text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    rotated_at timestamptz,
    revoked_at timestamptz,
    version bigint NOT NULL
);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, created_at DESC, id);

CREATE TABLE tenants (
    id text COLLATE "C" PRIMARY KEY,
    name_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    deleted_at timestamptz,
    version bigint NOT NULL
);

-- When each key was last used, exact to a minute. Not a view: no event says it.
CREATE TABLE api_key_uses (
    key_id text COLLATE "C" PRIMARY KEY,
    used_at timestamptz NOT NULL
);

-- Tells every API process which key or tenant has changed, in the transaction that changes it, so that none can miss it.
CREATE FUNCTION notify_access_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('access', NEW.originator_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_events_access AFTER INSERT ON ledger_events FOR EACH ROW
    WHEN (NEW.topic LIKE 'key.%' OR NEW.topic LIKE 'tenant.%')
    EXECUTE FUNCTION notify_access_changed();
