"""The stream of an execution: one frame for each event of it, so a frame's number is the event's version."""

from collections.abc import Callable, Mapping
from typing import Any

from domain.events import Event
from domain.graphflow.execution.events import (
    AttemptFailed,
    NodeBegun,
    NodeCompensated,
    NodeEnded,
    NodeEvent,
    NodeHeld,
    RunEnded,
    RunPaused,
    RunReopened,
    RunResumed,
    RunStarted,
)
from domain.live.frames import FrameDraft, LedgerEntry, TextField


class ExecutionTimeline:
    """`Timeline` of an execution."""

    def __init__(self, execution_id: str) -> None:
        self.owner = execution_id
        self.open_tools: list[str] = []
        self.is_idle = False
        self.is_closed = False
        self.has_begun = False
        self.hides_texts = False
        self._id = execution_id

    def add(self, event: Event) -> LedgerEntry:
        self.has_begun = True
        drafting: Callable[[Any], FrameDraft] | None = self._handlers().get(type(event))
        # every event has its frame, also one of a later release: numbers are versions
        return LedgerEntry(
            (drafting(event) if drafting else FrameDraft("state", {"execution_id": self._id}, event.at),)
        )

    def _handlers(self) -> Mapping[type[Event], Callable[[Any], FrameDraft]]:
        return {
            RunStarted: self._start,
            NodeBegun: lambda event: _node(event, "running", child_id=event.child_id, until=event.until),
            NodeHeld: lambda event: _node(event, "awaiting_approval", approval_id=event.approval_id),
            AttemptFailed: lambda event: _node(event, "retrying", code=event.code, error=event.error),
            NodeEnded: self._end_node,
            NodeCompensated: self._compensate,
            RunPaused: lambda event: self._state(event, "paused"),
            RunResumed: lambda event: self._state(event, "running"),
            RunReopened: self._reopen,
            RunEnded: self._end,
        }

    def _start(self, event: RunStarted) -> FrameDraft:
        return self._state(
            event,
            "running",
            workflow_id=event.workflow_id,
            version=event.version,
            nodes=[node.model_dump() for node in event.nodes],
        )

    def _end_node(self, event: NodeEnded) -> FrameDraft:
        texts = (TextField("output", event.output_hash, is_json=not event.as_text),) if event.output_hash else ()
        return _node(event, event.status, texts=texts, code=event.code, error=event.error)

    def _compensate(self, event: NodeCompensated) -> FrameDraft:
        data = {"node": event.node, "visit": event.visit, "status": "compensated", "error": event.error}
        return FrameDraft("node", data if event.status == "completed" else {**data, "status": "failed"}, event.at)

    def _reopen(self, event: RunReopened) -> FrameDraft:
        self.is_idle = False
        return self._state(event, "running", reopened=list(event.nodes))

    def _end(self, event: RunEnded) -> FrameDraft:
        self.is_idle = True
        data = {
            "execution_id": self._id,
            "status": event.status,
            "node": event.node,
            "code": event.code,
            "reason": event.reason,
            "skipped": list(event.skipped),
            "signature": event.signature,
        }
        texts = (TextField("result", event.output_hash, is_json=True),) if event.output_hash else ()
        return FrameDraft("final", data, event.at, texts)

    def _state(self, event: Event, status: str, **more: Any) -> FrameDraft:
        return FrameDraft("state", {"execution_id": self._id, "status": status, **more}, event.at)


def _node(event: NodeEvent, status: str, *, texts: tuple[TextField, ...] = (), **more: Any) -> FrameDraft:
    data = {
        "node": event.node,
        "status": status,
        "visit": event.visit,
        "attempt": event.attempt,
        "skipped": list(event.skipped),
        **more,
    }
    return FrameDraft("node", data, event.at, texts)
