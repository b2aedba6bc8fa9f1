"""Chat sessions as workflows."""
