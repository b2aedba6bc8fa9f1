"""Routes of retention periods."""
