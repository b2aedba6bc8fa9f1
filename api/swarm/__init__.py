"""Swarm: tasks worked on by several agents."""
