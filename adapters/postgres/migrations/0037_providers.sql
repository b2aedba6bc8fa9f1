-- The provider of each attempt, and the model in whose place another one was called.
ALTER TABLE cost_calls
    ADD COLUMN provider text,
    ADD COLUMN fallback_from text,
    ADD COLUMN fallback_reason text;

-- The models that are called while an agent's first one cannot be.
ALTER TABLE agents ADD COLUMN fallback_models text[] NOT NULL DEFAULT '{}';
UPDATE agent_versions SET definition = definition || '{"fallback_models": []}' WHERE NOT definition ? 'fallback_models';

-- The circuits that have ever moved.
CREATE TABLE provider_circuits (
    provider text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    state text NOT NULL,
    changed_at timestamptz NOT NULL,
    opened_at timestamptz,
    retry_at timestamptz,
    error text,
    openings integer NOT NULL,
    PRIMARY KEY (provider, model)
);
