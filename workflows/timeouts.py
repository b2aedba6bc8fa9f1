"""How long workflows wait for activities, and how they try again."""

from datetime import timedelta

from temporalio.common import RetryPolicy

LEDGER_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=10),
    maximum_attempts=10_000,
)
"""More than a day, as the database may be away so long. Faults of ours end sooner (`activities/interceptor.py`)."""
LEDGER_TIMEOUT = timedelta(seconds=10)
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""After this much silence a worker counts as dead, and its call goes to another."""
BOOKS_TIMEOUT = timedelta(minutes=2)
"""What an attempt may take beyond its call, to write down what came of it while the database is away."""
LONGEST_PAUSE = timedelta(seconds=30)
