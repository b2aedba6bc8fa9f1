-- Text of people and models; events hold its hash. The owner is the id of a session or run, which names its tenant.
CREATE TABLE content (
    owner text COLLATE "C" NOT NULL,
    hash text COLLATE "C" NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (owner, hash)
);
