-- What of a request its model did not take: only the worker that was told knew it.

ALTER TABLE cost_calls ADD COLUMN refused text;
CREATE INDEX cost_calls_refused ON cost_calls (model, ended_at) WHERE refused IS NOT NULL;
