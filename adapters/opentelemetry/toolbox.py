"""Spans of tool calls."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from adapters.opentelemetry import names
from domain.tools.ports import SourceStatus, Tool, Toolbox, ToolContext, ToolFailed, ToolResult, ToolState
from domain.tools.spec import ToolSpec


class TracedToolbox:
    """`domain.tools.ports.Toolbox` whose tools have a span for each call: `execute_tool <name>`. It holds no text."""

    def __init__(self, toolbox: Toolbox, tracer: Tracer) -> None:
        self._toolbox = toolbox
        self._tracer = tracer

    async def offered_specs(self, names: Sequence[str]) -> tuple[ToolSpec, ...]:
        return await self._toolbox.offered_specs(names)

    async def states(self, names: Sequence[str]) -> tuple[ToolState, ...]:
        return await self._toolbox.states(names)

    async def source_statuses(self) -> tuple[SourceStatus, ...]:
        return await self._toolbox.source_statuses()

    async def tool(self, name: str) -> Tool:
        return _TracedTool(await self._toolbox.tool(name), self._tracer)


class _TracedTool:
    def __init__(self, tool: Tool, tracer: Tracer) -> None:
        self._tool = tool
        self._tracer = tracer

    @property
    def spec(self) -> ToolSpec:
        return self._tool.spec

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        attributes = {
            names.OPERATION: "execute_tool",
            names.TOOL_NAME: self.spec.name,
            names.TOOL_CALL_ID: context.tool_call_id,
            names.AGENT_ID: context.agent_id,
            names.CONVERSATION_ID: context.session_id,
            names.TENANT: context.tenant_id,
        }
        with self._tracer.start_as_current_span(
            f"execute_tool {self.spec.name}",
            kind=SpanKind.INTERNAL,
            attributes=attributes,
            record_exception=False,  # a tool's message may hold what it was asked for
            set_status_on_exception=False,
        ) as span:
            try:
                return await self._tool.call(arguments, context)
            except ToolFailed as failure:
                span.set_attribute(names.ERROR_TYPE, "unknown_outcome" if failure.unknown else "tool_failed")
                span.set_status(Status(StatusCode.ERROR))
                raise
            except Exception as error:  # whatever it is, its kind is noted and it goes on
                span.set_attribute(names.ERROR_TYPE, type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise
