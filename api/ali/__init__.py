"""Ali: the chief of staff, and its insights."""
