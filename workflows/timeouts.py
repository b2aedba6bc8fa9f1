"""Timeouts and retry policies of activities."""

from datetime import timedelta

from temporalio.common import RetryPolicy

LEDGER_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=10),
    maximum_attempts=10_000,
)
"""Retries for more than a day, as the database may be away so long.

Programming errors are not retried for so long (`activities/interceptor.py`).
"""
LEDGER_TIMEOUT = timedelta(seconds=10)
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""Silence after which a worker counts as dead, and its activity goes to another."""
SETTLEMENT_TIMEOUT = timedelta(minutes=2)
"""Time beyond the model call that an attempt has to settle its cost while the database is away."""
MAX_RETRY_PAUSE = timedelta(seconds=30)
