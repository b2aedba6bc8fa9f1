"""The outside world, as Temporal activities: one module per concept."""
