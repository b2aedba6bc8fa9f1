"""The workflow that indexes a document."""
