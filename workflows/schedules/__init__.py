"""Firings of schedules, and the schedules in Temporal that cause them."""
