"""Costs of model calls, from the cost ledger."""
