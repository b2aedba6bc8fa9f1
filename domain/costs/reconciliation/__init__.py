"""Reconciliation: the cost ledger compared with a provider's invoice, line by line."""
