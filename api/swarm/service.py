"""Swarm service: starts, reads and cancels swarms."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import orjson

from activities.swarm.messages import SwarmMember, SwarmRunRequest
from activities.swarm.request import record_request, request_event
from api.http.caller import Caller
from api.runs.context import RunContext
from api.runs.run_access import RunAccess, RunKind
from domain.agents.names import ALI
from domain.content import Content
from domain.errors import Invalid, Unavailable
from domain.ids import derived_hex
from domain.revocations import RevocableWork
from domain.swarm.aggregate import request_key
from domain.swarm.events import PinnedSwarmAgent
from domain.swarm.ports import AgentDirectory, MemberUsage, SwarmReads, SwarmView
from domain.swarm.projection import seats_of, swarm_of
from domain.swarm.task import ROUNDS, Mode
from domain.tenant_ids import run_id
from workflows.swarm.client import SwarmClient
from workflows.swarm.messages import SwarmCancel, SwarmStart


@dataclass(frozen=True, slots=True)
class SwarmSubmission:
    """A swarm that a caller requests. `key` is the scoped idempotency key, if any."""

    task: str
    agents: tuple[str, ...]
    key_id: str
    tenant_id: str
    request_id: str
    mode: Mode = "collaborative"
    coordinator: str | None = None
    deadline: datetime | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    user_id: str | None = None
    project_id: str | None = None
    rounds: int = ROUNDS
    budget_usd: Decimal | None = None
    require_approval: bool = False
    key: str | None = None


class SwarmService:
    """The swarms of this deployment. Refusals and failures to reach Temporal are raised as `Refused`."""

    def __init__(
        self,
        client: SwarmClient,
        agents: AgentDirectory,
        reads: SwarmReads,
        context: RunContext,
    ) -> None:
        self._client = client
        self._agents = agents
        self._context = context
        self._runs = RunAccess(RunKind("swarm", "swarm", reads.swarm, client.read_input, _initial_view), context)

    async def coordinate(self, order: SwarmSubmission) -> SwarmView:
        """Start a swarm; the same idempotency key joins the one that was started first.

        Raises:
            Invalid: an agent is unknown or repeated, or the deadline has passed.
            Unavailable: Temporal or the database cannot be reached; nothing was accepted, and nothing will be done.
        """
        context = self._context
        if order.deadline is not None and order.deadline <= context.now():
            raise _invalid("deadline", "is in the past")
        agents = await self._resolve_agents(order)
        key = await context.handover.usable_key(order.key)
        asked = await asyncio.to_thread(self._store_request, replace(order, key=key), agents)
        await context.link_user(order.tenant_id, order.user_id, asked.task_id)
        start = SwarmStart(asked, context.call_timeout_s, context.pause_s)
        work, by = RevocableWork(request_key(asked.task_id), order.key), asked.key_id
        initial = self._runs.initial_view(asked)
        if not await self._runs.start(
            self._client.start(start), work, run_id=asked.task_id, by=by, because=asked.because
        ):
            return await self._runs.read_newest_state(asked.task_id, otherwise=initial)
        with suppress(Unavailable):  # the workflow has started, and records the request itself
            await asyncio.to_thread(record_request, context.ledger, asked, context.now())
        return initial

    async def read(self, task_id: str, *, tenant_id: str) -> SwarmView:
        """Return a swarm as its view has it, or as it was requested while the view has nothing yet.

        Raises:
            NotFound: there is none in this tenant.
        """
        return await self._runs.read(task_id, tenant_id=tenant_id)

    async def cancel(self, task_id: str, *, caller: Caller, request_id: str) -> SwarmView:
        """Stop it. One that was cancelled already stays so.

        Raises:
            NotFound: there is none in the caller's tenant.
            Conflict: it is over.
        """
        seen = await self.read(task_id, tenant_id=caller.tenant_id)
        if seen.row.status == "cancelled":
            return seen
        self._runs.refuse_ended(seen, task_id=task_id)
        await self._client.cancel(task_id, SwarmCancel(by=caller.id, because=request_id))
        return seen

    async def _resolve_agents(self, order: SwarmSubmission) -> Mapping[str, PinnedSwarmAgent]:
        """Return the agents by their requested names; retry once their view has caught up."""
        names = {*order.agents, order.coordinator or ALI}
        found = await asyncio.to_thread(self._agents.find_deployed, order.tenant_id, names)
        if found.keys() != names:
            await self._context.positions.wait("agents")
            found = await asyncio.to_thread(self._agents.find_deployed, order.tenant_id, names)
        if order.coordinator and order.coordinator not in found:
            raise _invalid("coordinator", f"there is no agent {order.coordinator}, or it is not deployed")
        ids: list[str] = []
        for place, name in enumerate(order.agents):
            if name not in found:
                raise _invalid(f"agents.{place}", f"there is no agent {name}, or it is not deployed")
            if found[name].agent_id in ids:
                raise _invalid(f"agents.{place}", f"{found[name].agent_id} is named twice")
            ids.append(found[name].agent_id)
        return found

    def _store_request(self, order: SwarmSubmission, agents: Mapping[str, PinnedSwarmAgent]) -> SwarmRunRequest:
        """Store the texts of a request and return the request by its ids."""
        task_id = task_id_of(order.tenant_id, order.key)
        content, store = self._context.content, partial(Content, task_id)
        context = orjson.dumps(order.context).decode() if order.context else None
        coordinator = agents.get(order.coordinator or ALI, agents[order.agents[0]])
        return SwarmRunRequest(
            task_id=task_id,
            mode=order.mode,
            members=[_to_member(agents[name]) for name in order.agents],
            coordinator=_to_member(coordinator),
            key_id=order.key_id,
            because=order.request_id,
            task_hash=content.put(store(order.task)),
            rounds=order.rounds,
            require_approval=order.require_approval,
            context_hash=content.put(store(context)) if context else None,
            deadline=order.deadline.astimezone(UTC).isoformat() if order.deadline else None,
            budget_usd=str(order.budget_usd) if order.budget_usd is not None else None,
            project_id=order.project_id,
        )


def task_id_of(tenant_id: str, key: str | None) -> str:
    """Return the id of the swarm that is started under a key, or a new one without a key."""
    return run_id("task", tenant_id, derived_hex("swarm", key) if key else None)


def _to_member(agent: PinnedSwarmAgent) -> SwarmMember:
    return SwarmMember(agent.agent_id, agent.agent_version, agent.hold)


def _initial_view(asked: SwarmRunRequest, at: datetime) -> SwarmView:
    """Return the view of a swarm of which only the request is known."""
    event = request_event(asked, at)
    return SwarmView(swarm_of(event), tuple(seats_of(event)), {}, MemberUsage())


def _invalid(field_name: str, reason: str) -> Invalid:
    return Invalid(f"{field_name}: {reason}", field=field_name, reason=reason)
