"""Signing keys, and what exports are made of."""
