"""Tenants: the owners of what callers make."""
