"""Settings, wiring, supervision and start of all processes."""
