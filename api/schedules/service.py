"""Schedule service: creates, changes, reads and triggers schedules."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import orjson
import structlog

from activities.schedules.settlement import ScheduleSettlement
from api.http.dependencies import ExpectedVersion, Positions
from api.http.handover import WorkHandover
from api.schedules.schemas import NewSchedule, ScheduleChanges
from api.schedules.targets import AnyTarget, target_id_of
from domain.content import Content, ContentStore
from domain.errors import Conflict, Unavailable
from domain.events import Cause
from domain.ids import derived_hex
from domain.revocations import RevocableWork
from domain.schedules.aggregate import ScheduleRecord
from domain.schedules.commands import ScheduleCommands
from domain.schedules.definition import ScheduleDefinition
from domain.schedules.firing import begin_key
from domain.schedules.policy import MAX_SCHEDULES, refuse_invalid
from domain.schedules.ports import FiringPage, ScheduleReads, TimerForecast
from domain.tenant_ids import run_id
from workflows.schedules.client import TemporalTimers
from workflows.schedules.messages import FiringStart

_SETTLE_S = 10.0
"""Seconds to wait for Temporal to take a change; after that, reconciliation brings it there."""
_PLAIN = ("cron", "every_s", "timezone", "start_at", "end_at", "overlap", "catchup_window_s")
_CLEARABLE = frozenset({"name", "start_at", "end_at"})


@dataclass(frozen=True, slots=True)
class ScheduleWithTexts:
    """A schedule with its texts; `forecast` is None where Temporal does not have it, or cannot be asked.

    `in_force` is false where Temporal may have another state.
    """

    schedule_id: str
    state: ScheduleRecord
    name: str | None
    target: Mapping[str, Any] | None
    forecast: TimerForecast | None
    in_force: bool


class ScheduleService:
    """The schedules of this deployment. Refusals and unreachable services are raised as `Refused`."""

    def __init__(
        self,
        commands: ScheduleCommands,
        reads: ScheduleReads,
        timers: TemporalTimers,
        settlement: ScheduleSettlement,
        *,
        content: ContentStore,
        handover: WorkHandover,
        positions: Positions,
        now: Callable[[], datetime],
    ) -> None:
        self._commands = commands
        self._reads = reads
        self._timers = timers
        self._settlement = settlement
        self._content = content
        self._handover = handover
        self._positions = positions
        self._now = now
        self._log = structlog.get_logger("convergio.api")

    async def create(self, body: NewSchedule, cause: Cause, key: str | None) -> ScheduleWithTexts:
        """Create a schedule; the same idempotency key creates one.

        Raises:
            Invalid: its times are none.
            Conflict: the tenant has too many schedules.
        """
        tenant_id = cause.tenant_id
        schedule_id = run_id("schedule", tenant_id, derived_hex("schedule", key) if key else None)
        texts: dict[str, Content] = {"target": _target_text(schedule_id, body.target)}
        if body.name is not None:
            texts["name"] = Content(schedule_id, body.name)
        definition = ScheduleDefinition(
            target_kind=body.target.kind,
            target_id=target_id_of(body.target),
            target_hash=texts["target"].hash,
            name_hash=texts["name"].hash if "name" in texts else None,
            **{field: getattr(body, field) for field in _PLAIN},
        )
        refuse_invalid(definition, self._now())
        if await asyncio.to_thread(self._reads.count, tenant_id) >= MAX_SCHEDULES:
            raise Conflict(f"a tenant has {MAX_SCHEDULES} schedules at most", limit=MAX_SCHEDULES)
        create = partial(
            self._commands.create, schedule_id, definition, cause, paused=body.paused, texts=list(texts.values())
        )
        return await self._finish(schedule_id, await asyncio.to_thread(create))

    async def change(
        self, schedule_id: str, body: ScheduleChanges, cause: Cause, expected: ExpectedVersion
    ) -> ScheduleWithTexts:
        """Change the given fields.

        Raises:
            NotFound: there is no such schedule.
            Invalid: its times are none.
        """
        texts: dict[str, Content] = {}
        if body.target is not None:
            texts["target_hash"] = _target_text(schedule_id, body.target)
        if body.name is not None:
            texts["name_hash"] = Content(schedule_id, body.name)
        hashes = {field: text.hash for field, text in texts.items()}

        def redefine(definition: ScheduleDefinition) -> ScheduleDefinition:
            changed = definition.model_copy(update={**_plain_changes(body), **hashes})
            refuse_invalid(changed, self._now())
            return changed

        change = partial(
            self._commands.change, schedule_id, redefine, cause, check=expected.check, texts=list(texts.values())
        )
        return await self._finish(schedule_id, await asyncio.to_thread(change))

    async def pause(self, schedule_id: str, cause: Cause) -> ScheduleWithTexts:
        """Pause a schedule.

        Raises:
            NotFound: there is no such schedule.
        """
        return await self._finish(schedule_id, await asyncio.to_thread(self._commands.pause, schedule_id, cause))

    async def resume(self, schedule_id: str, cause: Cause) -> ScheduleWithTexts:
        """Resume a schedule.

        Raises:
            NotFound: there is no such schedule.
        """
        return await self._finish(schedule_id, await asyncio.to_thread(self._commands.resume, schedule_id, cause))

    async def delete(self, schedule_id: str, cause: Cause, expected: ExpectedVersion) -> bool:
        """Delete a schedule, which fires no more from then on. False: Temporal forgets it later.

        Raises:
            NotFound: there is no such schedule.
        """
        delete = partial(self._commands.delete, schedule_id, cause, check=expected.check)
        await asyncio.to_thread(delete)
        return await self._settle(schedule_id)

    async def read(self, tenant_id: str, schedule_id: str) -> ScheduleWithTexts:
        """Return a schedule of the tenant.

        Raises:
            NotFound: there is none.
        """
        state = await asyncio.to_thread(self._commands.load, tenant_id, schedule_id)
        return await self._with_texts(schedule_id, state, in_force=True)

    async def firings(self, tenant_id: str, schedule_id: str, *, skip: int, limit: int) -> FiringPage:
        """Return the firings of a schedule of the tenant.

        Raises:
            NotFound: there is no such schedule.
        """
        await asyncio.to_thread(self._commands.load, tenant_id, schedule_id)
        return await asyncio.to_thread(partial(self._reads.firings, schedule_id, skip=skip, limit=limit))

    async def trigger(self, schedule_id: str, cause: Cause, key: str | None) -> str:
        """Start a firing now, paused or not, whatever runs already. Returns its id.

        Raises:
            NotFound: there is no such schedule.
            Unavailable: Temporal cannot be reached; nothing was accepted, and nothing will be done.
        """
        tenant_id = cause.tenant_id
        schedule = await asyncio.to_thread(self._commands.load, tenant_id, schedule_id)
        usable = await self._handover.usable_key(key)
        unique = derived_hex("trigger", schedule_id, usable) if usable else None
        firing_id = run_id("firing", tenant_id, unique)
        start = FiringStart(schedule_id, firing_id=firing_id, by=cause.by, because=cause.because)
        starting = self._timers.trigger(start, firing_id, schedule)
        work = RevocableWork(begin_key(firing_id), key)
        await self._handover.confirm(starting, work, by=cause.by, because=cause.because, tenant_id=tenant_id)
        return firing_id

    async def _finish(self, schedule_id: str, state: ScheduleRecord) -> ScheduleWithTexts:
        is_settled = await self._settle(schedule_id)
        await self._positions.wait("schedules")
        return await self._with_texts(schedule_id, state, in_force=is_settled)

    async def _settle(self, schedule_id: str) -> bool:
        """Bring a recorded change to Temporal; False where that cannot be done now: it is done each minute."""
        try:
            async with asyncio.timeout(_SETTLE_S):
                await self._settlement.settle(schedule_id)
        except (Unavailable, Conflict, TimeoutError) as error:
            self._log.warning("a schedule is not in force yet", schedule=schedule_id, error=repr(error))
            return False
        return True

    async def _with_texts(self, schedule_id: str, state: ScheduleRecord, *, in_force: bool) -> ScheduleWithTexts:
        definition = state.current
        hashes = [each for each in (definition.target_hash, definition.name_hash) if each is not None]
        texts = await asyncio.to_thread(self._content.get, schedule_id, hashes)
        target = texts.get(definition.target_hash)
        forecast = await self._forecast(schedule_id)
        return ScheduleWithTexts(
            schedule_id,
            state,
            name=texts.get(definition.name_hash or ""),
            target=orjson.loads(target) if target is not None else None,
            forecast=forecast,
            in_force=in_force and forecast is not None and forecast.revision == state.revision,
        )

    async def _forecast(self, schedule_id: str) -> TimerForecast | None:
        try:
            async with asyncio.timeout(_SETTLE_S):
                return await self._timers.forecast(schedule_id)
        except (Unavailable, TimeoutError):
            return None


def _target_text(schedule_id: str, target: AnyTarget) -> Content:
    body = target.model_dump(mode="json", exclude_defaults=True)
    return Content(schedule_id, orjson.dumps({"kind": target.kind, **body}).decode())


def _plain_changes(body: ScheduleChanges) -> dict[str, Any]:
    """Return the changes to all but the texts. null clears a field that may be empty, and changes no other."""
    given = {name: getattr(body, name) for name in body.model_fields_set}
    changes = {name: value for name, value in given.items() if name in _PLAIN}
    changes = {name: value for name, value in changes.items() if value is not None or name in _CLEARABLE}
    if "cron" in changes and "every_s" not in changes:
        changes["every_s"] = None
    elif "every_s" in changes and "cron" not in changes:
        changes["cron"] = None
    if "name" in given and given["name"] is None:
        changes["name_hash"] = None
    if body.target is not None:
        changes |= {"target_kind": body.target.kind, "target_id": target_id_of(body.target)}
    return changes
