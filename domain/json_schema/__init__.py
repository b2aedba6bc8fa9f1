"""JSON Schema: validation and bounds of schemas that callers and servers send."""
