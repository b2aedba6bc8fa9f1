"""The cost ledger as files, and its reconciliation with providers' invoices."""
