"""The workflow of an erasure."""
