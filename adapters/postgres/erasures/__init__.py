"""Erasures in PostgreSQL: their view, what belongs to a subject, and the marks of erased owners."""
