"""Model calls over the OpenAI-compatible API."""
