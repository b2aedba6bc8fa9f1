"""Backups: both stores at one moment, checked, restored, and kept for a time."""
