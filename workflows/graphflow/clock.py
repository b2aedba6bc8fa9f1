"""How long waits have stood still because their run was paused."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import workflow

STOPS = "waits-stop-while-paused"
"""In runs that were paused before this, the time of a wait went on."""


@dataclass
class Clock:
    """`late` is by how many seconds a visit's wait ends later. Whoever waits looks again when it stops or goes on."""

    late: dict[str, float] = field(default_factory=dict)
    _since: dict[str, datetime] = field(default_factory=dict)
    _stopped_at: datetime | None = None

    def stop(self) -> None:
        """The run is paused."""
        if self._stopped_at is None and workflow.patched(STOPS):
            self._stopped_at = workflow.now()

    def go_on(self) -> None:
        """It is resumed."""
        self.late |= self.carried()
        self._stopped_at = None

    def is_stopped(self) -> bool:
        return self._stopped_at is not None

    def begin(self, visit: str) -> None:
        """A visit waits. What it was late by in a run before this one stays."""
        self._since[visit] = workflow.now()

    def end(self, visit: str) -> None:
        """It waits no more."""
        self._since.pop(visit, None)

    def shifted(self, visit: str, moment: datetime | None) -> datetime | None:
        """When a wait ends that was to end at this moment."""
        return None if moment is None else moment + timedelta(seconds=self.late.get(visit, 0))

    def carried(self) -> dict[str, float]:
        """What those that wait are late by, with what they have stood since the run was paused."""
        return {visit: self.late.get(visit, 0) + self._stood(since) for visit, since in self._since.items()}

    def _stood(self, since: datetime) -> float:
        if self._stopped_at is None:
            return 0.0
        return (workflow.now() - max(since, self._stopped_at)).total_seconds()
