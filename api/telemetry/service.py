"""Takes telemetry in: a bounded number of events at a time, on threads of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from time import monotonic

from api.http.request_context import RequestContext
from api.telemetry.metrics import IntakeMetrics
from api.telemetry.parsing import Reception, parse_events
from api.telemetry.schemas import AcceptedTelemetry
from domain.errors import RateLimited
from domain.telemetry.ports import TelemetryStore

THREADS = 2
"""Requests that are processed at a time."""
MOST_PENDING = 64
MOST_PENDING_BYTES = 4 * 1024 * 1024
"""Limits of the requests that wait or are processed, and of their bodies together."""
MAX_WAIT_S = 5.0
"""The longest time that a request waits for a thread."""
_RETRY_AFTER_S = 1


class TelemetryIntake:
    """Records the events of requests. `oldest` is the age that an event may have."""

    def __init__(
        self, store: TelemetryStore, metrics: IntakeMetrics, now: Callable[[], datetime], *, oldest: timedelta
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._now = now
        self._oldest = oldest
        self._threads = ThreadPoolExecutor(THREADS, "telemetry")
        self._pending = 0
        self._pending_bytes = 0

    async def accept(self, request: RequestContext, key: str | None) -> AcceptedTelemetry:
        """Record all events of a request, or none.

        Raises:
            domain.errors.Invalid: an event is not valid.
            domain.errors.RateLimited: too much is pending.
            domain.errors.Unavailable: the database cannot be reached.
        """
        size = len(request.body)
        if self._pending >= MOST_PENDING or self._pending_bytes + size > MOST_PENDING_BYTES:
            self._metrics.refused.inc()
            raise _busy()
        self._pending += 1
        self._metrics.pending.inc()
        self._pending_bytes += size
        loop = asyncio.get_running_loop()
        task = self._threads.submit(self._record, request, key, monotonic())
        # when the thread is done, not when the client has gone: its work goes on
        task.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release, size))
        return await asyncio.wrap_future(task)

    def close(self) -> None:
        """Finish what is pending."""
        self._threads.shutdown()

    def _release(self, size: int) -> None:
        self._pending -= 1
        self._metrics.pending.dec()
        self._pending_bytes -= size

    def _record(self, request: RequestContext, key: str | None, arrived: float) -> AcceptedTelemetry:
        if monotonic() - arrived > MAX_WAIT_S:
            self._metrics.refused.inc()
            raise _busy()
        received = self._now()
        events = parse_events(request, Reception(received, self._oldest, key))
        new = self._store.record(request.caller.tenant_id, events, received)
        self._metrics.count(accepted=new, duplicates=len(events) - new)
        return AcceptedTelemetry(accepted=new, duplicates=len(events) - new)


def _busy() -> RateLimited:
    return RateLimited(
        f"too many events are pending; try again in {_RETRY_AFTER_S} s, nothing was accepted",
        retry_after=_RETRY_AFTER_S,
    )
