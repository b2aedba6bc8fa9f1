"""Routes of API keys."""
