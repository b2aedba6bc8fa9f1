"""In-memory adapters: one process, nothing survives it."""
