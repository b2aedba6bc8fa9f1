"""Erasures: removal of all texts of a session, a user, a talent or a tenant."""
