"""The audit: who did what, when and why, of every event of the ledger, without any text.

It has no events of its own.
"""
