"""Schedules: their routes, and the start of their work."""
