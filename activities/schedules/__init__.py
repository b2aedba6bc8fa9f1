"""Firings of schedules, and the agreement of Temporal's schedules with the ledger's."""
