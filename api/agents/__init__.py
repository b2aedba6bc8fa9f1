"""Agents: their definitions, versions and tools."""
