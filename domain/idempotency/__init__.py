"""Idempotency of requests: the first answer to a key is the answer.

A request claims its key before it does anything, and keeps its answer beside it for a day.
"""
