"""Valkey: rate limits shared by all processes."""
