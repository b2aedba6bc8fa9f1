"""Adapters: the only code that imports a client library."""
