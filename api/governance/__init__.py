"""Routes of governance: runbooks, service level objectives, and rate limits."""
