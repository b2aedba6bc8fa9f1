"""Deterministic orchestration: one package per concept."""
