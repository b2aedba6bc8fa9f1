"""One tool call: started once, ended once, and a write never repeated."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from domain.events import Event
from domain.tools.events import Effect, Outcome, ToolEnded, ToolEvent, ToolStarted


def stream(tool_call_id: str) -> str:
    return f"tool:{tool_call_id}"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The state of a call. `attempt` is the attempt that started it; `outcome` and `result_hash` are its end's."""

    version: int = 0
    effect: Effect = "read"
    attempt: str | None = None
    outcome: Outcome | None = None
    result_hash: str | None = None

    @property
    def in_doubt(self) -> bool:
        """True for a write that started and has no end: it may have had its effect."""
        return self.attempt is not None and self.effect == "write" and self.outcome is None

    def may_run(self, attempt: str) -> bool:
        """Return True if this attempt may call the tool: no end, and no other attempt's write in doubt."""
        return self.outcome is None and (not self.in_doubt or self.attempt == attempt)


def evolve(call: ToolCall, event: Event) -> ToolCall:
    version = call.version + 1
    match event:
        case ToolStarted(effect=effect, attempt=attempt):
            return replace(call, version=version, effect=effect, attempt=attempt)
        case ToolEnded(outcome=outcome, result_hash=result_hash):
            return replace(call, version=version, outcome=outcome, result_hash=result_hash)
        case _:
            return replace(call, version=version)


def load(events: Iterable[Event]) -> ToolCall:
    return reduce(evolve, events, ToolCall())


def start(call: ToolCall, started: ToolStarted) -> list[ToolEvent]:
    """Start the call, once: a repeated read keeps its first start."""
    return [] if call.version else [started]


def end(call: ToolCall, ended: ToolEnded, doubtful: ToolEnded, attempt: str = "") -> list[ToolEvent]:
    """End the call; the first end counts.

    A write ends as `doubtful` unless the `attempt` that started it reports the end.
    """
    if call.outcome:
        return []
    return [doubtful if call.in_doubt and call.attempt != attempt else ended]
