-- Erasures: a view. `subject` is the id of a session, talent or tenant, or a user's pseudonym.
CREATE TABLE erasures (
    erasure_id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    subject text COLLATE "C" NOT NULL,
    status text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    completed_at timestamptz,
    owners bigint,
    texts bigint,
    answers bigint,
    histories bigint
);
CREATE INDEX erasures_requested ON erasures (tenant_id, requested_at DESC, erasure_id DESC);
CREATE INDEX erasures_running ON erasures (requested_at) WHERE status = 'running';

-- Owners whose texts were erased, and what was removed. No view: content depends on it.
CREATE TABLE erased_owners (
    owner text COLLATE "C" PRIMARY KEY,
    erasure_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    texts bigint NOT NULL DEFAULT 0,
    histories bigint NOT NULL DEFAULT 0
);
CREATE INDEX erased_owners_erasure ON erased_owners (erasure_id);
-- Stored responses that an erasure removed.
CREATE TABLE erased_answers (
    erasure_id text COLLATE "C" PRIMARY KEY,
    answers bigint NOT NULL
);

-- Drops a text of an erased owner; whatever is written with it is recorded, such as the cost of the call. It reads in
-- a snapshot of its own. So a text that is stored after the mark is dropped, and one that may have missed the mark was
-- inserted by a transaction that still holds its lock on the table: an erasure waits for these (`adapters/postgres`).
CREATE FUNCTION drop_erased_content() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM erased_owners WHERE owner = NEW.owner;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER content_erased BEFORE INSERT ON content FOR EACH ROW EXECUTE FUNCTION drop_erased_content();

-- What an erasure looks for.
CREATE INDEX chat_sessions_origin ON chat_sessions (origin_session_id) WHERE origin_session_id IS NOT NULL;
CREATE INDEX approvals_owner ON approvals (owner);
CREATE INDEX executions_root ON executions (root_id);
