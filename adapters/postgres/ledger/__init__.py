"""The event store, its connections and group commit."""
