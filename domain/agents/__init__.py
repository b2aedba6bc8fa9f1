"""Agents: who can be talked to.

A definition is versioned; the deployed version is what new work gets. The files under `agents/` are the seed.
"""
