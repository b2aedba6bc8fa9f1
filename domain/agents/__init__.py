"""Agents: their definitions, versions and deployments.

A definition is versioned; new work gets the deployed version. The files under `agents/` are the seed.
"""
