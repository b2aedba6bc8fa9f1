"""Reconciliation of the ledger with Temporal, as a workflow."""
