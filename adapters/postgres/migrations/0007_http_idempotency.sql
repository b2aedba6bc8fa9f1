-- Claims and answers of requests that carry an Idempotency-Key. `key` is a hash of tenant, caller,
-- method, path and key.
CREATE TABLE http_idempotency (
    key          bytea PRIMARY KEY,
    fingerprint  bytea NOT NULL,
    holder       text NOT NULL,
    lease_until  timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    status       smallint,          -- null while the work goes on
    headers      jsonb,
    body         bytea
);

CREATE INDEX http_idempotency_expires_at ON http_idempotency (expires_at);
