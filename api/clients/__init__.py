"""Clients: the organisations and people that a tenant works for."""
