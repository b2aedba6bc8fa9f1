"""Idempotency of requests: the first answer to a key is stored and returned to repeats.

A request claims its key before it does anything, and its answer is stored with the claim for a day.
"""
