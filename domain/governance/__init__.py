"""Governance: rate limits.

A caller's requests take tokens from a bucket that refills continuously.
"""
