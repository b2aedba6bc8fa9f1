"""Governance: rate limits, and service level objectives.

A caller's requests take tokens from a bucket that refills continuously. Requests and turns are measured against
objectives; alerts about them are events.
"""
