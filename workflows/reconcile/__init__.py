"""Reconciliation as a workflow."""
