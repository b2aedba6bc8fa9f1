-- What each user of a tenant started: `owner` is a session or run, `pseudonym` a keyed hash of the user's id. No view:
-- events do not name users.
CREATE TABLE user_links (
    tenant_id text COLLATE "C" NOT NULL,
    pseudonym text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, pseudonym, owner)
);
CREATE INDEX user_links_owner ON user_links (owner);

-- Whose a stored response is; it may hold texts. Those from before have no tenant, and expire within a day.
ALTER TABLE http_idempotency ADD COLUMN tenant_id text COLLATE "C";
