"""Operation of the platform: runbooks and what they work on, request counts, and alerts."""
