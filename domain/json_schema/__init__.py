"""JSON Schema: validation, and limits on schemas that callers and servers send."""
