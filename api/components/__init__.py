"""Saved states of components."""
