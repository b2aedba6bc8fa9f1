"""The platform's knowledge and decisions: no I/O, no framework but eventsourcing and pydantic."""
