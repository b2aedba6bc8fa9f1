"""Costs: every model call as a small transaction.

A call is reserved before it is made, and then settled, failed or recorded as unknown; the cost ledger shows all of it.
"""
