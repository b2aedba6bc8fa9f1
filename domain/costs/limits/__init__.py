"""Limits on cost: of a scope, in each window of time; and what a run may spend beyond one."""
