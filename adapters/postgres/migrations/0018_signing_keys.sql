-- Private parts of the signing keys, encrypted under CONVERGIO_SIGNING_KEY. Their public parts are events.
CREATE TABLE signing_key_secrets (
    key_id text COLLATE "C" PRIMARY KEY,
    encrypted bytea NOT NULL
);
