"""The queue of an execution's events, in which waiting nodes find theirs."""

from collections import deque
from dataclasses import dataclass, field

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.graphflow.messages import ExecutionEvent

MAX_EVENTS = 1_000
"""Maximum number of events that wait to be taken."""
_MAX_KNOWN = 200


@dataclass
class EventQueue:
    """Events that no wait has taken yet. A repeated event is ignored. `frozen`: none can be taken now."""

    heard: deque[ExecutionEvent] = field(default_factory=deque)
    known: deque[str] = field(default_factory=lambda: deque(maxlen=_MAX_KNOWN))
    frozen: bool = False

    def add(self, event: ExecutionEvent) -> None:
        if event.event_id not in self.known:
            self.known.append(event.event_id)
            self.heard.append(event)

    def take(self, name: str) -> ExecutionEvent | None:
        """Remove and return the oldest event of this name."""
        found = next((event for event in self.heard if event.name == name), None) if not self.frozen else None
        if found is not None:
            self.heard.remove(found)
        return found

    def is_full(self) -> bool:
        return len(self.heard) >= MAX_EVENTS

    def has(self, name: str) -> bool:
        return not self.frozen and any(event.name == name for event in self.heard)
