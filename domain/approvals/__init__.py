"""Approvals: what a person has to decide before a run goes on.

Exactly one decision counts, whoever races; the whole way there is events.
"""
