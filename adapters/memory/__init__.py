"""In-memory adapters: for one process, lost when it ends."""
