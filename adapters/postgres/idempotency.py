"""Idempotency keys in PostgreSQL: one statement to claim, one to store, none for requests without a key."""

import asyncio
import time
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from adapters.postgres.ledger.pool import Database
from domain.idempotency.ports import ACCEPTED, KEPT_S, LEASE_S, ClaimResult, StoredAnswer

# The key is claimed if its row is new or expired, or if its holder stopped renewing the lease during the work.
_CLAIM = """
    INSERT INTO http_idempotency AS kept (key, fingerprint, holder, lease_until, expires_at, tenant_id)
    VALUES (%(key)s, %(fingerprint)s, %(holder)s,
            now() + make_interval(secs => %(lease)s), now() + make_interval(secs => %(kept)s), %(tenant_id)s)
    ON CONFLICT (key) DO UPDATE SET
        fingerprint = excluded.fingerprint, holder = excluded.holder, lease_until = excluded.lease_until,
        expires_at = excluded.expires_at, tenant_id = excluded.tenant_id, status = NULL, headers = NULL, body = NULL
    WHERE kept.expires_at < now()
       OR (kept.status IS NULL AND kept.lease_until < now() AND kept.fingerprint = excluded.fingerprint)
    RETURNING true
"""
_READ = "SELECT fingerprint, status, headers, body FROM http_idempotency WHERE key = %s"
_RENEW = """
    UPDATE http_idempotency SET lease_until = now() + make_interval(secs => %s)
    WHERE key = %s AND holder = %s AND status IS NULL
"""
_KEEP = """
    UPDATE http_idempotency SET status = %s, headers = %s, body = %s
    WHERE key = %s AND holder = %s AND status IS NULL
"""
_REPLACE = "UPDATE http_idempotency SET status = %s, headers = %s, body = %s WHERE key = %s AND status = %s"
_RELEASE = "DELETE FROM http_idempotency WHERE key = %s AND holder = %s AND status IS NULL"
_SWEEP = """
    DELETE FROM http_idempotency WHERE key IN (
        SELECT key FROM http_idempotency WHERE expires_at < now() LIMIT %s FOR UPDATE SKIP LOCKED)
"""
_SWEEP_EVERY_S = 60.0
_SWEEP_LIMIT = 200


class PostgresAnswers:
    """Idempotency store in the table `http_idempotency`."""

    def __init__(self, database: Database, *, lease_s: float = LEASE_S, kept_s: float = KEPT_S) -> None:
        self._database = database
        self._lease_s = lease_s
        self._kept_s = kept_s
        self._sweep_at = time.monotonic() + _SWEEP_EVERY_S

    async def claim(self, key: bytes, fingerprint: bytes, holder: str, *, tenant_id: str | None = None) -> ClaimResult:
        return await asyncio.to_thread(self._claim, key, fingerprint, holder, tenant_id)

    async def renew(self, key: bytes, holder: str) -> None:
        await asyncio.to_thread(self._run, _RENEW, (self._lease_s, key, holder))

    async def keep(self, key: bytes, holder: str, answer: StoredAnswer) -> None:
        kept = (answer.status, Jsonb(answer.headers), answer.body, key, holder)
        await asyncio.to_thread(self._run, _KEEP, kept)

    async def replace(self, key: bytes, answer: StoredAnswer) -> None:
        kept = (answer.status, Jsonb(answer.headers), answer.body, key, ACCEPTED)
        await asyncio.to_thread(self._run, _REPLACE, kept)

    async def release(self, key: bytes, holder: str) -> None:
        await asyncio.to_thread(self._run, _RELEASE, (key, holder))

    def _run(self, statement: str, values: tuple[object, ...]) -> None:
        with self._database.connection() as connection:
            connection.execute(statement, values)

    def _claim(self, key: bytes, fingerprint: bytes, holder: str, tenant_id: str | None) -> ClaimResult:
        wanted = {
            "key": key,
            "fingerprint": fingerprint,
            "holder": holder,
            "lease": self._lease_s,
            "kept": self._kept_s,
            "tenant_id": tenant_id,
        }
        with self._database.connection() as connection:
            self._sweep_if_due(connection)
            if connection.execute(_CLAIM, wanted).fetchone():
                return "claimed"
            row = connection.execute(_READ, (key,)).fetchone()
        return _outcome(row, fingerprint)

    def _sweep_if_due(self, connection: psycopg.Connection[Any]) -> None:
        if time.monotonic() >= self._sweep_at:
            swept = connection.execute(_SWEEP, (_SWEEP_LIMIT,)).rowcount
            self._sweep_at = time.monotonic() + (_SWEEP_EVERY_S if swept < _SWEEP_LIMIT else 0.0)


def _outcome(row: tuple[Any, ...] | None, fingerprint: bytes) -> ClaimResult:
    if row is None:  # released between the two statements: the next attempt gets it
        return "busy"
    if row[0] != fingerprint:
        return "other_body"
    if row[1] is None:
        return "busy"
    return StoredAnswer(row[1], tuple((name, value) for name, value in row[2]), row[3])
