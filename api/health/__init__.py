"""Health: liveness, readiness and the state of the parts."""
