"""Retention: for how many days the texts of a tenant's sessions and runs are kept."""
