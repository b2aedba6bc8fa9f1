"""GraphFlow executions as workflows."""
