"""What the platform knows and decides: no I/O, no framework but eventsourcing and pydantic."""
