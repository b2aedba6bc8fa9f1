"""The time that waiting nodes have lost because their execution was paused."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import workflow

PATCH_STOP_WAITS = "waits-stop-while-paused"
"""Patch id. In executions that were paused before this change, waits went on during a pause."""


@dataclass
class PauseClock:
    """Tracks pauses. `late` is by how many seconds each iteration's wait ends later.

    A waiting node has to re-read its deadline when the clock stops or resumes.
    """

    late: dict[str, float] = field(default_factory=dict)
    _since: dict[str, datetime] = field(default_factory=dict)
    _stopped_at: datetime | None = None

    def stop(self) -> None:
        """Stop the clock: the execution is paused."""
        if self._stopped_at is None and workflow.patched(PATCH_STOP_WAITS):
            self._stopped_at = workflow.now()

    def resume(self) -> None:
        """Resume the clock and add the pause to the waits that it delayed."""
        self.late |= self.current_delays()
        self._stopped_at = None

    def is_stopped(self) -> bool:
        return self._stopped_at is not None

    def begin(self, visit: str) -> None:
        """Begin the wait of an iteration. Its delay from an earlier run of the workflow is kept."""
        self._since[visit] = workflow.now()

    def end(self, visit: str) -> None:
        """End the wait of an iteration."""
        self._since.pop(visit, None)

    def shift(self, visit: str, moment: datetime | None) -> datetime | None:
        """Return the moment at which a wait ends, delayed by the pauses."""
        return None if moment is None else moment + timedelta(seconds=self.late.get(visit, 0))

    def current_delays(self) -> dict[str, float]:
        """Return the delay of each current wait in seconds, the running pause included."""
        return {visit: self.late.get(visit, 0) + self._paused_seconds(since) for visit, since in self._since.items()}

    def _paused_seconds(self, since: datetime) -> float:
        if self._stopped_at is None:
            return 0.0
        return (workflow.now() - max(since, self._stopped_at)).total_seconds()
