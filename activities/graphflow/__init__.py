"""Activities of workflow executions: record nodes, and evaluate expressions where the texts are."""
