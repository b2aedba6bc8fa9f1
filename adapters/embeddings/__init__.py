"""Embedding models: a local one, and those of any OpenAI-compatible provider."""
