"""Health: liveness, readiness and the state of the connected services."""
