"""Documents, their chunks, and searches of them."""
