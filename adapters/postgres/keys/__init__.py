"""API keys: their view, the check of each request, and when each was last used."""
