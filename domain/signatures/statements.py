"""Signed statements: facts about what was settled, with texts by their hashes.

A statement is a flat JSON object of texts, whole numbers and nulls under ASCII names; so JSON with sorted keys is
already canonical (RFC 8785). Its field names are signed and therefore stay for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from domain.tenant_ids import unqualified

Statement = Mapping[str, str | int | None]


def canonical(statement: Mapping[str, Any]) -> bytes:
    """Return the statement as canonical JSON."""
    return orjson.dumps(dict(statement), option=orjson.OPT_SORT_KEYS)


def timestamp(at: datetime) -> str:
    """Return the moment in UTC, RFC 3339 with `Z`, to the microsecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class PreviousAnswer:
    """The last turn before this one that had an answer when this one was settled."""

    turn: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class AnsweredTurn:
    """An answer of an agent, with the answer before it in its session."""

    tenant_id: str
    session_id: str
    turn: int
    agent_id: str
    agent_version: int
    model: str
    message_hash: str
    content_hash: str
    at: datetime
    previous: PreviousAnswer | None = None

    def statement(self) -> Statement:
        return {
            "kind": "turn",
            "tenant_id": self.tenant_id,
            "session_id": unqualified(self.session_id),
            "turn": self.turn,
            "agent_id": self.agent_id,
            "agent_version": self.agent_version,
            "model": self.model,
            "message_hash": self.message_hash,
            "content_hash": self.content_hash,
            "previous_turn": self.previous.turn if self.previous else None,
            "previous_hash": self.previous.content_hash if self.previous else None,
            "at": timestamp(self.at),
        }


@dataclass(frozen=True, slots=True)
class SwarmResult:
    """The end of a swarm and its result, if there is one."""

    tenant_id: str
    task_id: str
    status: str
    content_hash: str | None
    at: datetime

    def statement(self) -> Statement:
        return {
            "kind": "swarm",
            "tenant_id": self.tenant_id,
            "task_id": self.task_id,
            "status": self.status,
            "content_hash": self.content_hash,
            "at": timestamp(self.at),
        }


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """The end of an execution of a workflow and its output, if there is one."""

    tenant_id: str
    execution_id: str
    workflow_id: str
    version: int
    status: str
    input_hash: str
    content_hash: str | None
    at: datetime

    def statement(self) -> Statement:
        return {
            "kind": "execution",
            "tenant_id": self.tenant_id,
            "execution_id": self.execution_id,
            "workflow_id": self.workflow_id,
            "workflow_version": self.version,
            "status": self.status,
            "input_hash": self.input_hash,
            "content_hash": self.content_hash,
            "at": timestamp(self.at),
        }


@dataclass(frozen=True, slots=True)
class ApprovalResult:
    """The decision on an approval. `content_hash` is the text that was decided about, as the decider edited it."""

    tenant_id: str
    approval_id: str
    workflow_id: str
    agent_id: str
    outcome: str
    decided_by: str
    content_hash: str
    comment_hash: str | None
    at: datetime

    def statement(self) -> Statement:
        return {
            "kind": "approval",
            "tenant_id": self.tenant_id,
            "approval_id": self.approval_id,
            "workflow_id": self.workflow_id,
            "agent_id": self.agent_id,
            "outcome": self.outcome,
            "decided_by": self.decided_by,
            "content_hash": self.content_hash,
            "comment_hash": self.comment_hash,
            "at": timestamp(self.at),
        }


@dataclass(frozen=True, slots=True)
class SignedContent:
    """A text that a caller had signed on behalf of an agent."""

    tenant_id: str
    agent_id: str
    content_hash: str
    at: datetime

    def statement(self) -> Statement:
        return {
            "kind": "content",
            "tenant_id": self.tenant_id,
            "agent_id": self.agent_id,
            "content_hash": self.content_hash,
            "at": timestamp(self.at),
        }


@dataclass(frozen=True, slots=True)
class ExportEnd:
    """The end of an export: the number of lines before it, and the SHA-256 of their bytes, line ends included.

    `at` is the newest time in them, so that an export of the same facts is the same, byte by byte.
    """

    tenant_id: str
    of: str
    id: str
    lines: int
    digest: str
    at: str | None

    def statement(self) -> Statement:
        return {
            "kind": "end",
            "tenant_id": self.tenant_id,
            "of": self.of,
            "id": self.id,
            "lines": self.lines,
            "digest": self.digest,
            "at": self.at,
        }


@dataclass(frozen=True, slots=True)
class AuditSelection:
    """The filter that chose the entries of an exported audit; None lets all of them through."""

    tenant_id: str
    by: str | None = None
    kind: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class AuditEnd:
    """The end of an exported audit, as `ExportEnd` is of others. A part of an audit cannot pass for the whole of it."""

    selection: AuditSelection
    lines: int
    digest: str
    at: str | None

    def statement(self) -> Statement:
        chosen = self.selection
        end = ExportEnd(chosen.tenant_id, "audit", chosen.tenant_id, self.lines, self.digest, self.at)
        return {
            **end.statement(),
            "filter_by": chosen.by,
            "filter_kind": chosen.kind,
            "filter_subject": chosen.subject,
            "filter_from": timestamp(chosen.since) if chosen.since else None,
            "filter_to": timestamp(chosen.until) if chosen.until else None,
            "filter_before": chosen.before,
        }
