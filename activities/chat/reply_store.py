"""Stores the texts of a parsed reply, so that workflows handle hashes only."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from activities.chat.messages import RequestedToolCall
from activities.chat.reply import CheckedToolRequest, ParsedReply
from domain.content import Content, ContentStore
from domain.tools.arguments import parse_arguments

_RISKS = ("low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class ReplyTextStore:
    """Stores the texts of an owner that workflows and people need apart from the reply."""

    content: ContentStore
    owner: str

    def problem(self, meant: ParsedReply) -> str | None:
        """Store the correction that the model receives for an unusable answer; return its hash."""
        return self._store(meant.problem)

    def schema(self, schema: Mapping[str, Any] | None) -> str | None:
        """Store a JSON Schema for people's edits; return its hash, None for none."""
        return None if schema is None else self._store(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS).decode())

    def tool_calls(self, meant: ParsedReply) -> list[RequestedToolCall]:
        """Return the tool calls that the reply requests."""
        return [self._tool_call(index, asked) for index, asked in enumerate(meant.asks)]

    def _tool_call(self, index: int, asked: CheckedToolRequest) -> RequestedToolCall:
        name = asked.request.name[:80]
        if asked.spec is None or asked.problem is not None:
            return RequestedToolCall(asked.tool_call_id, name, index, problem=self._store(asked.problem))
        spec = asked.spec
        call = RequestedToolCall(asked.tool_call_id, name, index, runs=spec.runs, timeout_s=spec.timeout_s)
        if spec.runs == "approval":
            return self._with_approval_text(
                call, asked, requested_risk(parse_arguments(asked.request.arguments).get("risk_level")), "content"
            )
        if spec.policy != "approval":
            return call
        return replace(self._with_approval_text(call, asked, spec.risk), schema=self.schema(spec.parameters))

    def _with_approval_text(
        self, call: RequestedToolCall, asked: CheckedToolRequest, risk: str, field: str | None = None
    ) -> RequestedToolCall:
        """Add the text to approve: the arguments, or one of them."""
        arguments = asked.request.arguments or "{}"
        text = str(parse_arguments(arguments)[field]) if field else arguments
        return replace(call, risk=risk, content=self._store(text), arguments=self._store(arguments))

    def _store(self, text: str | None) -> str | None:
        return None if text is None else self.content.put(Content(self.owner, text))


def requested_risk(said: object) -> str:
    """Return the risk that the model names, or `medium`."""
    return said if isinstance(said, str) and said in _RISKS else "medium"
