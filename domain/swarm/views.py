"""The rows of swarms and their seats."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from domain.message_parts import MessagePart
from domain.swarm.events import EndStatus
from domain.swarm.spoken import ANSWER
from domain.swarm.task import Mode

Status = Literal["pending", "running", "awaiting_approval"] | EndStatus
SeatStatus = Literal[
    "pending", "running", "awaiting_approval", "completed", "rejected", "failed", "cancelled", "skipped"
]


@dataclass(frozen=True, slots=True)
class SwarmRow:
    """A swarm. `members` are agent ids; `turns` have ended, of at most `planned`; `held` wait for an approval."""

    TABLE: ClassVar[str] = "swarms"
    KEY: ClassVar[tuple[str, ...]] = ("task_id",)

    task_id: str
    tenant_id: str
    mode: Mode
    status: Status
    stage: str | None
    members: list[str]
    coordinator: str
    key_id: str
    project_id: str | None
    task_hash: str
    context_hash: str | None
    rounds: int
    deadline: datetime | None
    budget_usd: Decimal | None
    require_approval: bool
    planned: int
    turns: int
    held: int
    approval_id: str | None
    result_hash: str | None
    partial: bool
    code: str | None
    reason: str | None
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class SeatRow:
    """An agent in a swarm, as a member or as its coordinator. `place` is its place in the list, from 1.

    `reply_hash` is its newest contribution, `status` the result of its newest turn.
    """

    TABLE: ClassVar[str] = "swarm_members"
    KEY: ClassVar[tuple[str, ...]] = ("task_id", "seat")

    task_id: str
    seat: str
    tenant_id: str
    place: int
    agent_id: str
    agent_version: int
    coordinating: bool
    status: SeatStatus
    stage: str | None
    turns: int
    reply_hash: str | None
    code: str | None
    error: str | None


def contribution(swarm: SwarmRow, row: SeatRow) -> MessagePart | None:
    """Return the text of a seat's newest contribution."""
    if row.reply_hash is None:
        return None
    return MessagePart(hash=row.reply_hash, at=ANSWER if swarm.mode == "handoff" else ())


def contributions(swarm: SwarmRow, seats: Iterable[SeatRow]) -> tuple[MessagePart, ...]:
    """Join the members' newest contributions, each under its author's id."""
    parts: list[MessagePart] = []
    for row in seats:
        if not row.coordinating and (words := contribution(swarm, row)):
            parts += [MessagePart("\n\n" if parts else ""), MessagePart(f"## {row.agent_id}\n\n"), words]
    return tuple(parts)
