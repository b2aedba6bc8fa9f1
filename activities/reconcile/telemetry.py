"""Keeps telemetry small: merges rollups, creates the partitions of the days ahead, and drops those past retention."""

from asyncio import to_thread
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import activity

from domain.telemetry.ports import TelemetryUpkeep

_AHEAD = timedelta(days=1)


class TelemetryKeeper:
    """The activity of the `ReconcileWorkflow` workflow for telemetry. `retention` is the age at which events go."""

    def __init__(self, upkeep: TelemetryUpkeep, now: Callable[[], datetime], *, retention: timedelta) -> None:
        self._upkeep = upkeep
        self._now = now
        self._retention = retention

    def all(self) -> list[Callable[..., object]]:
        return [self.keep_telemetry]

    @activity.defn(name="keep_telemetry")
    async def keep_telemetry(self) -> int:
        """Merge rollups, create and drop partitions. Returns the number of rollups that were merged."""
        now = self._now()
        await to_thread(self._upkeep.create_partitions, now.date(), (now + _AHEAD).date())
        merged = await to_thread(self._upkeep.merge_rollups, now)
        await to_thread(self._upkeep.drop_before, (now - self._retention).date())
        return merged
