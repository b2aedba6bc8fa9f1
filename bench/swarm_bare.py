"""Workflow of the swarm benchmark's reference, in a module of its own, as the sandbox imports it for every run."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.message_parts import compose
    from domain.swarm.modes import parallel
    from domain.swarm.task import MemberTurn, PlannedTurn, SwarmTask

TASK = "task"


@dataclass
class Ask:
    """One model call: the agent and the message."""

    request_id: str
    agent_id: str
    message: str


@dataclass
class Work:
    """The task, the members and the coordinator."""

    task: str
    members: list[str]
    coordinator: str


@workflow.defn
class BareSwarm:
    """Concurrent answers of the members, integrated by the coordinator."""

    @workflow.run
    async def run(self, work: Work) -> str:
        """Make the calls."""
        answers = await asyncio.gather(*(self._call(member, _to_member(work, member)) for member in work.members))
        return await self._call(work.coordinator, _to_coordinator(work, answers))

    async def _call(self, agent_id: str, message: str) -> str:
        answer: str = await workflow.execute_activity(
            "call",
            Ask(f"{workflow.info().workflow_id}.{agent_id}", agent_id, message),
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=10),
            result_type=str,
        )
        return answer


def _to_member(work: Work, member: str) -> str:
    return _render(parallel.next_turns(_task(work), ())[work.members.index(member)], {TASK: work.task})


def _to_coordinator(work: Work, answers: Sequence[str]) -> str:
    said = [MemberTurn(who, "answer", 1, "completed", who) for who in work.members]
    texts = {TASK: work.task, **dict(zip(work.members, answers, strict=True))}
    return _render(parallel.next_turns(_task(work), said)[0], texts)


def _task(work: Work) -> SwarmTask:
    return SwarmTask("parallel", tuple(work.members), work.coordinator, TASK)


def _render(speak: PlannedTurn, texts: Mapping[str, str]) -> str:
    """Return the exact text that the system's members and coordinator get."""
    return compose(speak.brief, texts, most=1_000_000)
