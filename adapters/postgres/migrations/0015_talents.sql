-- Integer ids of records: counters by tenant and kind, and the ids that a request with an idempotency key has got.

CREATE TABLE integer_ids (
    tenant_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    last bigint NOT NULL,
    PRIMARY KEY (tenant_id, kind)
);
CREATE TABLE integer_id_blocks (
    tenant_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    first bigint NOT NULL,
    PRIMARY KEY (tenant_id, kind, key)
);

-- Returns the first of `p_size` new ids; the same ids for the same key. The counter's row is locked before a block is
-- looked for the second time, so of two concurrent calls with one key the later one sees the other's block.
CREATE FUNCTION reserve_integer_ids(p_tenant text, p_kind text, p_size bigint, p_key text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    reserved bigint;
BEGIN
    SELECT first INTO reserved FROM integer_id_blocks
    WHERE tenant_id = p_tenant AND kind = p_kind AND key = p_key;
    IF FOUND THEN
        RETURN reserved;
    END IF;
    INSERT INTO integer_ids AS ids (tenant_id, kind, last) VALUES (p_tenant, p_kind, p_size)
    ON CONFLICT (tenant_id, kind) DO UPDATE SET last = ids.last + p_size
    RETURNING last - p_size + 1 INTO reserved;
    IF p_key IS NOT NULL THEN
        INSERT INTO integer_id_blocks (tenant_id, kind, key, first) VALUES (p_tenant, p_kind, p_key, reserved)
        ON CONFLICT DO NOTHING;
        SELECT first INTO reserved FROM integer_id_blocks
        WHERE tenant_id = p_tenant AND kind = p_kind AND key = p_key;
    END IF;
    RETURN reserved;
END
$$;

-- Keys of keyed hashes, such as those of e-mail addresses in the ledger. They stand in no event.
CREATE TABLE tenant_secrets (
    tenant_id text COLLATE "C" NOT NULL,
    purpose text COLLATE "C" NOT NULL,
    secret bytea NOT NULL,
    PRIMARY KEY (tenant_id, purpose)
);

-- Talents that are not deleted. Their texts stay in `content`, under the owner `talent:<id>` or `talent~<tenant>:<id>`,
-- and are joined when they are read.
CREATE TABLE talents (
    tenant_id text COLLATE "C" NOT NULL,
    id bigint NOT NULL,
    profile_hash text COLLATE "C" NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
