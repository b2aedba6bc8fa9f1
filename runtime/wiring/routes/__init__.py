"""Composes the routers of the API."""
