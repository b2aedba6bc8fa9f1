"""The read model of tool calls."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal

from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows
from domain.tools.events import ToolEnded, ToolStarted

State = Literal["running", "ok", "error", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class ToolCallRow:
    """A call: `running`, or its end. One that was refused, or carried out by a workflow, has no `started_at`.

    Arguments and result are texts of the root of `session_id` (`domain.ids.root`).
    """

    TABLE: ClassVar[str] = "tool_calls"
    KEY: ClassVar[tuple[str, ...]] = ("tool_call_id",)

    tool_call_id: str
    tenant_id: str
    session_id: str
    turn: int
    step: int
    name: str
    agent_id: str
    key_id: str
    workflow_id: str
    project_id: str | None
    state: State
    effect: str | None
    arguments_hash: str
    result_hash: str | None
    sources: list[str]
    at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class ToolsProjection:
    """`domain.projection.Projection` of tool calls."""

    name = "tools"
    kinds: tuple[type[Row], ...] = (ToolCallRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        match recorded.event:
            case ToolStarted() | ToolEnded() as event:
                yield ToolCallRow, (event.tool_call_id,)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case ToolStarted() as event:
                rows.put(replace(_new(event), effect=event.effect, started_at=event.at))
            case ToolEnded() as event:
                call = rows.get(ToolCallRow, event.tool_call_id) or _new(event)
                rows.put(
                    replace(
                        call,
                        state=event.outcome,
                        result_hash=event.result_hash,
                        sources=list(event.sources),
                        ended_at=event.at,
                    )
                )


def _new(event: ToolStarted | ToolEnded) -> ToolCallRow:
    return ToolCallRow(
        tool_call_id=event.tool_call_id,
        tenant_id=event.tenant_id,
        session_id=event.session_id,
        turn=event.turn,
        step=event.step,
        name=event.name,
        agent_id=event.agent_id,
        key_id=event.by,
        workflow_id=event.workflow_id,
        project_id=event.project_id,
        state="running",
        effect=None,
        arguments_hash=event.arguments_hash,
        result_hash=None,
        sources=[],
        at=event.at,
        started_at=None,
        ended_at=None,
    )
