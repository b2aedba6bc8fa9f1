"""The workflow of a run of a runbook."""
