"""Entry points of the processes that the supervisor starts."""
