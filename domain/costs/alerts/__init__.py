"""Alerts on cost: when a scope spends, or is about to spend, more than a threshold in a window."""
