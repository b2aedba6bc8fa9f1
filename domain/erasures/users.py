"""Pseudonyms of users: erasures, and the links to what users started, name a user without their id."""

import hmac
from hashlib import sha256

PURPOSE = "user"
"""The purpose of the tenant's secret that the pseudonyms are made with."""


def pseudonym(secret: bytes, user_id: str) -> str:
    """Return a user's pseudonym: only the holder of the tenant's secret can compute or confirm it."""
    return f"user_{hmac.new(secret, user_id.encode(), sha256).hexdigest()}"
