"""Telemetry in PostgreSQL: events in partitions by day, their rollups, and the upkeep of both."""
