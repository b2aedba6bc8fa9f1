"""GraphFlow: workflow definitions, their generation and executions."""
