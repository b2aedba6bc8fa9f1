"""One tool call: begun once, ended once, and a write never tried twice."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from domain.events import Event
from domain.tools.events import Effect, Outcome, ToolEnded, ToolEvent, ToolStarted


def stream(tool_call_id: str) -> str:
    return f"tool:{tool_call_id}"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as it stands. `attempt` is the try that began it; `outcome` and `result_hash` are those of its end."""

    version: int = 0
    effect: Effect = "read"
    attempt: str | None = None
    outcome: Outcome | None = None
    result_hash: str | None = None

    @property
    def in_doubt(self) -> bool:
        """A write that began and has no end: it may have had its effect."""
        return self.attempt is not None and self.effect == "write" and self.outcome is None

    def may_run(self, attempt: str) -> bool:
        """Whether this try may call the tool: it is not over, and nobody else's write is in doubt."""
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
    """Begin it, once: a read that runs again runs under its first beginning."""
    return [] if call.version else [started]


def end(call: ToolCall, ended: ToolEnded, doubtful: ToolEnded, attempt: str = "") -> list[ToolEvent]:
    """End it; the first end stands. A write ends as `doubtful` unless the try that began it, `attempt`, says how."""
    if call.outcome:
        return []
    return [doubtful if call.in_doubt and call.attempt != attempt else ended]
