"""Costs: what model calls cost, from the cost ledger."""
