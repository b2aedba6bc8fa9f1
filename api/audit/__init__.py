"""The audit of a tenant."""
