"""GraphFlow executions as workflows: one interpreter for all graphs."""
