"""Traces, logs and metrics over OTLP, for any collector that speaks OpenTelemetry."""
