"""Swarm: recording what a swarm does."""
