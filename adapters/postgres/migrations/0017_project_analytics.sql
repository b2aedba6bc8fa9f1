-- What is linked to a project: few rows have one.

CREATE INDEX cost_calls_project ON cost_calls (tenant_id, project_id, at) WHERE project_id IS NOT NULL;
CREATE INDEX chat_sessions_project ON chat_sessions (tenant_id, project_id, opened_at) WHERE project_id IS NOT NULL;
CREATE INDEX executions_project ON executions (tenant_id, project_id, started_at) WHERE project_id IS NOT NULL;
CREATE INDEX swarms_project ON swarms (tenant_id, project_id, requested_at) WHERE project_id IS NOT NULL;
