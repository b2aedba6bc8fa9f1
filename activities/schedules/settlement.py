"""Makes Temporal's schedules agree with the ledger's, which say what is to be."""

from asyncio import to_thread

import structlog

from domain.errors import Conflict
from domain.ledger import Ledger
from domain.schedules import aggregate
from domain.schedules.ports import ScheduleReads, ScheduleTimers

_MOST_ROUNDS = 10
_PAGE = 1_000


class ScheduleSettlement:
    """Carries the ledger's state of a schedule over to Temporal."""

    def __init__(self, ledger: Ledger, timers: ScheduleTimers) -> None:
        self._ledger = ledger
        self._timers = timers

    async def settle(self, schedule_id: str) -> None:
        """Make the timer be as the schedule is, until none of them changes meanwhile.

        Raises:
            Unavailable: Temporal or the ledger cannot be reached.
            Conflict: it changes all the time.
        """
        for _ in range(_MOST_ROUNDS):
            schedule = await to_thread(self._load, schedule_id)
            if schedule.definition is None or schedule.deleted:
                await self._timers.remove(schedule_id)
            else:
                await self._timers.put(schedule_id, schedule)
            # of two writers the slower one may have brought an older state last: whoever sees that does it again
            if (await to_thread(self._load, schedule_id)).revision == schedule.revision:
                return
        raise Conflict("the schedule changes all the time", schedule_id=schedule_id)

    async def settle_all(self, reads: ScheduleReads) -> int:
        """Settle every schedule that differs, on whichever side. Returns their number."""
        there = dict(await self._timers.states())
        differing: list[str] = []
        after = ""
        while rows := await to_thread(reads.list_all, after, _PAGE):
            after = rows[-1].schedule_id
            for row in rows:
                state = there.pop(row.schedule_id, None)
                if state is None or (state.revision, state.paused) != (row.revision, row.paused):
                    differing.append(row.schedule_id)
        differing += there
        for schedule_id in differing:
            await self.settle(schedule_id)
        if differing:
            structlog.get_logger("schedules").info("schedules settled", schedules=differing[:_MOST_ROUNDS])
        return len(differing)

    def _load(self, schedule_id: str) -> aggregate.ScheduleRecord:
        return aggregate.load(self._ledger.read(aggregate.stream(schedule_id)))
