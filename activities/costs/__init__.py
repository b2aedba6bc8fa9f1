"""Costs: model calls and their entries in the cost ledger."""
