"""Composes what indexes and searches documents."""
