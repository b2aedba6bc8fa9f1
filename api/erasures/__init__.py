"""Routes of erasures."""
