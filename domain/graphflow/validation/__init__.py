"""Validation of workflow definitions."""
