"""Governance: who may ask how often.

A caller's requests are paid from a bucket of tokens that refills without a break.
"""
