"""Counts of requests by minute: kept in this process for a few seconds, then added to the table."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import structlog

from adapters.postgres.ledger.pool import Database
from domain.errors import Unavailable
from domain.governance.request_classes import bucket_of, classify

FLUSH_S = 5.0
"""Seconds between two writes: a killed process loses the counts of so many at most."""
_MOST_KEPT = 50_000
"""Counts kept while the database is away; further ones are dropped, and logged."""
_ADD = """
    INSERT INTO request_counts (at, tenant_id, class, status_class, bucket, count)
    SELECT to_timestamp(minute * 60), tenant_id, class, status_class, bucket, count
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::smallint[], %s::smallint[], %s::bigint[])
        AS t (minute, tenant_id, class, status_class, bucket, count)
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (at, tenant_id, class, status_class, bucket)
    DO UPDATE SET count = request_counts.count + excluded.count
"""  # ordered, so that processes that write at once do not wait for each other in a circle
_Key = tuple[int, str, str, int, int]


class PostgresRequestRecorder:
    """`domain.governance.ports.RequestRecorder` that writes in the background.

    A write whose outcome is not known, because the connection broke in it, is repeated: its counts may be doubled.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._counts: Counter[_Key] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("convergio.api")

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_flushing())

    async def close(self) -> None:
        """Stop, and write what is left."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.flush()

    def note(self, route: str, method: str, status: int, seconds: float, tenant_id: str) -> None:
        kind = classify(route, method)
        if kind is not None:
            self._counts[int(self._clock()) // 60, tenant_id, kind, status // 100, bucket_of(seconds)] += 1

    async def flush(self) -> None:
        """Write the counts; while the database is away they are kept."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await asyncio.to_thread(self._write, counts)
        except Unavailable as error:
            if len(counts) > _MOST_KEPT:
                self._log.error("counts of requests are dropped", counts=len(counts), reason=error.message)
                return
            self._counts.update(counts)

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    def _write(self, counts: Counter[_Key]) -> None:
        columns = [list(column) for column in zip(*counts, strict=True)]
        with self._database.connection() as connection:
            connection.execute(_ADD, (*columns, list(counts.values())))
