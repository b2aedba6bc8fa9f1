"""Leases: advisory locks, held by one connection at a time and released when it dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg


@contextmanager
def lease(connection: psycopg.Connection[Any], number: int, name: str) -> Iterator[bool]:
    """Try to hold the lease for the length of the block; yields whether it is held.

    It is released explicitly at the end: the server notices a closed connection too late for the next holder. A broken
    connection has lost the lease.
    """
    key = (number, name)
    row = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", key).fetchone()
    held = bool(row and row[0])
    try:
        yield held
    finally:
        if held and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", key)
