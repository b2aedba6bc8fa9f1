"""Swarm tasks as workflows."""
