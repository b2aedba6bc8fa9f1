"""Clients: the organisations and people that a tenant works for.

Their names and other texts are content, so that they can be erased; events contain hashes.
"""
