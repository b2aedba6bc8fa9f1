"""Reconciliation: work that was recorded but has no workflow is found and ended."""
