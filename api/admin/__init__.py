"""Routes of administration: vacuum, caches, and the state of the system."""
