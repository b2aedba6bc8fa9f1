"""Telemetry: events in, figures out."""
