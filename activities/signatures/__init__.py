"""Signatures: what is settled is signed in the process that settles it."""
