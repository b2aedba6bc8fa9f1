"""Activities of a firing: it begins once, starts its work once, and has one outcome."""

from asyncio import to_thread
from collections.abc import Callable
from datetime import datetime

import orjson
from temporalio import activity

from activities.heartbeat import send_heartbeats
from activities.schedules.messages import FiredRun, FiringFailure, FiringRequest, FiringResult
from domain.content import Content, ContentStore
from domain.events import Cause
from domain.ids import derived_id
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.schedules import aggregate, firing
from domain.schedules.definition import ScheduleDefinition
from domain.schedules.events import ScheduledRunAccepted, ScheduledRunRefused, ScheduleFired
from domain.schedules.firing import Outcome
from domain.schedules.ports import RefusedWork, ScheduledWork, StartedWork, WorkStarter
from domain.tenant_ids import tenant_of

_MAX_REASON = 2_000


class ScheduleActivities:
    """The activities of the workflow `ScheduleFiring`."""

    def __init__(
        self, ledger: Ledger, content: ContentStore, starter: WorkStarter, now: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._content = content
        self._starter = starter
        self._now = now

    def all(self) -> list[Callable[..., object]]:
        return [self.fire_schedule, self.fail_firing, self.is_run_over]

    @activity.defn(name="fire_schedule")
    async def fire_schedule(self, request: FiringRequest) -> FiringResult:
        """Carry out a firing. However often it runs, the work starts once: the firing's id is its idempotency key.

        Raises:
            domain.errors.Unavailable: a server cannot be reached; the next attempt continues.
        """
        with send_heartbeats():
            begun = await to_thread(self._begin, request)
            if begun is None:
                return FiringResult("not_fired")
            definition = await to_thread(self._definition, begun)
            outcome = await to_thread(self._read_outcome, begun.firing_id)
            if outcome is None:
                found = await self._start(begun, definition)
                outcome = await to_thread(self._record, begun, found)
        return _to_result(outcome, waits=definition.overlap != "allow_all")

    @activity.defn(name="fail_firing")
    async def fail_firing(self, failure: FiringFailure) -> FiringResult:
        """Record that a firing could not be carried out, unless it has an outcome."""
        begun = await to_thread(self._begin, failure.request)
        if begun is None:
            return FiringResult("not_fired")
        outcome = await to_thread(self._record, begun, RefusedWork(failure.code, failure.reason))
        return _to_result(outcome, waits=False)

    @activity.defn(name="is_run_over")
    async def is_run_over(self, run: FiredRun) -> bool:
        """Return whether the work of a firing has ended."""
        return await self._starter.is_over(StartedWork(run.kind, run.run_id, message_id=run.message_id))

    def _begin(self, request: FiringRequest) -> ScheduleFired | None:
        """Begin the firing, or return as it has begun; None if it does not take place."""
        stream = firing.stream(request.firing_id)

        def write() -> ScheduleFired | None:
            known = firing.load(self._ledger.read(stream))
            if known.begun is not None:
                return known.begun
            schedule = aggregate.load(self._ledger.read(aggregate.stream(request.schedule_id)))
            event = firing.begin(
                schedule,
                request.schedule_id,
                request.firing_id,
                self._cause(request, schedule.maker),
                scheduled_at=datetime.fromisoformat(request.scheduled_at),
                trigger=request.trigger,
            )
            if event is None:
                return None
            if self._ledger.append(Change(stream, 0, [event]), key=firing.begin_key(request.firing_id)) is None:
                return firing.load(self._ledger.read(stream)).begun  # none of a firing that was revoked
            return event

        return retry_on_conflict(write)

    def _cause(self, request: FiringRequest, maker: str) -> Cause:
        because = request.because or request.schedule_id
        return Cause(request.by or maker, because, self._now(), tenant_of(request.schedule_id))

    def _definition(self, begun: ScheduleFired) -> ScheduleDefinition:
        """Return the definition that the firing began with."""
        events = self._ledger.read(aggregate.stream(begun.schedule_id))[: begun.revision]
        return aggregate.load(events).current

    async def _start(self, begun: ScheduleFired, definition: ScheduleDefinition) -> StartedWork | RefusedWork:
        texts = await to_thread(self._content.get, begun.schedule_id, [definition.target_hash])
        body = texts.get(definition.target_hash)
        if body is None:
            return RefusedWork("NOT_FOUND", "what the schedule starts was erased")
        work = ScheduledWork(
            kind=definition.target_kind,
            body=orjson.loads(body),
            tenant_id=begun.tenant_id,
            key_id=begun.maker,
            because=begun.firing_id,
            key=derived_id("schedule.work", begun.firing_id),
        )
        return await self._starter.start(work)

    def _read_outcome(self, firing_id: str) -> Outcome | None:
        return firing.load(self._ledger.read(firing.stream(firing_id))).outcome

    def _record(self, begun: ScheduleFired, found: StartedWork | RefusedWork) -> Outcome:
        """Record the outcome, once. Returns the one that stands."""
        cause = Cause(begun.maker, begun.firing_id, self._now(), begun.tenant_id).fields()
        ids = {"schedule_id": begun.schedule_id, "firing_id": begun.firing_id}
        texts: list[Content] = []
        event: Outcome
        if isinstance(found, RefusedWork):
            texts = [Content(begun.schedule_id, found.reason[:_MAX_REASON])]
            event = ScheduledRunRefused(code=found.code, reason_hash=texts[0].hash, **ids, **cause)
        else:
            event = ScheduledRunAccepted(
                run_kind=found.kind,
                run_id=found.run_id,
                target_id=found.target_id,
                message_id=found.message_id,
                **ids,
                **cause,
            )
        change = Change(firing.stream(begun.firing_id), 1, [event])
        if self._ledger.append(change, key=f"schedule.outcome:{begun.firing_id}", content=texts) is not None:
            return event
        return self._read_outcome(begun.firing_id) or event


def _to_result(outcome: Outcome, *, waits: bool) -> FiringResult:
    if isinstance(outcome, ScheduledRunRefused):
        return FiringResult("refused")
    return FiringResult("accepted", FiredRun(outcome.run_kind, outcome.run_id, outcome.message_id), waits)
