"""Deterministic orchestration: one module per concept."""
