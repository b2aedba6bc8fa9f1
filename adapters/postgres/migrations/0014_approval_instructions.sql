-- What callers whose keys were checked want done with approvals. Only the API writes here: nothing that a caller can
-- store as a text, and nothing in Temporal, is an instruction.
CREATE TABLE approval_instructions (
    approval_id text COLLATE "C" NOT NULL,
    hash text COLLATE "C" NOT NULL,
    body text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (approval_id, hash)
);
