-- What is past its retention period, oldest first. Sessions have an index already.
CREATE INDEX swarms_ended ON swarms (tenant_id, ended_at, task_id);
CREATE INDEX executions_ended ON executions (tenant_id, ended_at, execution_id) WHERE parent_id IS NULL;
