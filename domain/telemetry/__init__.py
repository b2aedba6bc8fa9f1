"""Telemetry: what callers measure, as events that are counted and summed up, apart from the ledger."""
