"""Talents: the people of a tenant, found by skills and texts."""
