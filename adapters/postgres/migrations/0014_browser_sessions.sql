-- Sessions of browsers, by the hash of the cookie. One that was made from a key is valid as long as that text of the
-- key (`key_hash`); one of an identity provider's subject has its scopes itself. No event says what is here.

CREATE TABLE browser_sessions (
    hash bytea PRIMARY KEY,
    caller_id text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    key_hash bytea,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX browser_sessions_expires_at ON browser_sessions (expires_at);

-- Tells every API process which session has ended.
CREATE FUNCTION notify_session_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('access', 'session:' || encode(OLD.hash, 'hex'));
    RETURN NULL;
END
$$;
CREATE TRIGGER browser_sessions_ended AFTER DELETE ON browser_sessions FOR EACH ROW
    EXECUTE FUNCTION notify_session_ended();
