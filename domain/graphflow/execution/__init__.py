"""Executions: the aggregate, its events and the scheduler."""
