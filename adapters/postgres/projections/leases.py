"""Leases: advisory locks that one connection holds at a time, and loses when it dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg


@contextmanager
def lease(connection: psycopg.Connection[Any], number: int, name: str) -> Iterator[bool]:
    """Try to hold the lease for the length of the block; whether it is held.

    It is given back at the end: closing the connection does so only when the server notices, too late for who comes
    next. A connection that is broken has lost it.
    """
    key = (number, name)
    row = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", key).fetchone()
    held = bool(row and row[0])
    try:
        yield held
    finally:
        if held and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", key)
