"""Runbooks: operations on the platform itself, as runs of named steps.

The ledger has each run and each of its steps; a workflow carries them out.
"""
