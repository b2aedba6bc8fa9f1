-- The latest rating of each rated turn.

CREATE TABLE turn_ratings (
    session_id text COLLATE "C" NOT NULL,
    turn integer NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    agent_id text NOT NULL,
    rating integer NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (session_id, turn)
);
CREATE INDEX turn_ratings_tenant ON turn_ratings (tenant_id, at);
