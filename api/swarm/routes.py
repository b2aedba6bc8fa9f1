"""Routes of swarms."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import ConfigDict, Field

from api.http.caller import Caller
from api.http.dependencies import (
    CurrentCaller,
    CurrentRequest,
    CurrentTenant,
    IdempotencyKey,
    Paged,
    fresh,
    joins_on_repeat,
    requires,
)
from api.http.schemas import Body, Deadline
from api.swarm.schemas import SwarmList, SwarmStatus, hashes_of, status, summary
from api.swarm.service import SwarmService, SwarmSubmission
from domain.agents.names import ALI
from domain.content import ContentStore
from domain.swarm.ports import SwarmFilter, SwarmReads, SwarmView
from domain.swarm.task import MOST_MEMBERS, MOST_ROUNDS, ROUNDS, Mode
from domain.swarm.views import Status

MAX_TASK = 100_000
"""Maximum characters of a task."""
_MAX_USD = 1_000_000

_Present = Callable[[SwarmView], Awaitable[SwarmStatus]]
_TaskId = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9._~-]+$")]
_AgentName = Annotated[str, Field(min_length=1, max_length=64)]


class SwarmContext(Body):
    """The context of the task. Other keys are allowed, and passed on to the agents."""

    model_config = ConfigDict(extra="allow", str_max_length=MAX_TASK)

    user_id: Annotated[str, Field(max_length=128)] | None = None
    project_id: Annotated[str, Field(max_length=128)] | int | None = None


class CoordinateRequest(Body):
    """A task for several agents."""

    task: Annotated[str, Field(min_length=1, max_length=MAX_TASK, pattern=r"\S")]
    agents: Annotated[
        list[_AgentName],
        Field(min_length=1, max_length=MOST_MEMBERS, description="Agents in the order of their turns."),
    ]
    coordination_mode: Mode = "collaborative"
    deadline: Deadline | None = None
    coordinator: Annotated[
        _AgentName | None,
        Field(description=f"Plans, integrates and judges; default: `{ALI}` if deployed, else the first agent."),
    ] = None
    context: SwarmContext = SwarmContext()
    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS, description="Rounds of a debate; other modes ignore them.")] = (
        ROUNDS
    )
    budget_usd: Annotated[Decimal | None, Field(gt=0, le=_MAX_USD, description="Maximum total cost in US dollars.")] = (
        None
    )
    require_approval: Annotated[bool, Field(description="The result needs approval.")] = False


def router(swarms: SwarmService, reads: SwarmReads, content: ContentStore, now: Callable[[], datetime]) -> APIRouter:
    """Build the routes `/api/v1/swarm`."""
    routes = APIRouter(prefix="/api/v1/swarm", tags=["Swarm Coordination"])

    async def present(seen: SwarmView) -> SwarmStatus:
        wanted = hashes_of(seen)
        texts = await asyncio.to_thread(content.get, seen.row.task_id, wanted) if wanted else {}
        return status(seen, texts, now())

    _add_coordination_routes(routes, swarms, present)
    _add_list_route(routes, reads, now)
    _add_cancel_route(routes, swarms, present)
    return routes


def _add_coordination_routes(routes: APIRouter, swarms: SwarmService, present: _Present) -> None:
    @routes.post(
        "/coordinate",
        status_code=202,
        dependencies=[requires("write"), joins_on_repeat()],
    )
    async def coordinate(
        body: CoordinateRequest, request: CurrentRequest, caller: CurrentCaller, key: IdempotencyKey, response: Response
    ) -> SwarmStatus:
        """Starts a swarm of agents on a task: 202 and a `Location` to poll."""
        seen = await swarms.coordinate(_to_submission(body, caller, request.request_id, key))
        response.headers["location"] = f"{routes.prefix}/status/{seen.row.task_id}"
        return await present(seen)

    @routes.get(
        "/status/{task_id}",
        dependencies=[requires("read"), fresh("swarm"), fresh("costs")],
    )
    async def swarm_status(task_id: _TaskId, tenant_id: CurrentTenant) -> SwarmStatus:
        """Returns the progress of a swarm of the caller's tenant, the work of each agent, and its result."""
        return await present(await swarms.read(task_id, tenant_id=tenant_id))


def _add_list_route(routes: APIRouter, reads: SwarmReads, now: Callable[[], datetime]) -> None:
    @routes.get("", dependencies=[requires("read"), fresh("swarm"), fresh("costs")])
    def list_swarms(
        page: Paged,
        tenant_id: CurrentTenant,
        with_status: Annotated[Status | None, Query(alias="status")] = None,
        mode: Mode | None = None,
        agent_id: Annotated[str | None, Query(min_length=1, max_length=64, pattern=r"^[^\x00]*$")] = None,
    ) -> SwarmList:
        """Lists the swarms of the caller's tenant, newest first; `agent_id` is a member's or the coordinator's."""
        found = reads.page(SwarmFilter(tenant_id, with_status, mode, agent_id), skip=page.skip, limit=page.limit)
        return SwarmList.model_validate(
            {"data": [summary(seen, now()) for seen in found.swarms], "pagination": page.pagination(found.total)}
        )


def _add_cancel_route(routes: APIRouter, swarms: SwarmService, present: _Present) -> None:
    @routes.post(
        "/{task_id}/cancel",
        status_code=202,
        dependencies=[requires("write"), fresh("swarm"), fresh("costs")],
    )
    async def cancel_swarm(
        task_id: _TaskId, request: CurrentRequest, caller: CurrentCaller, response: Response
    ) -> SwarmStatus:
        """Cancels a swarm; the work done until then is its partial result. 409 if it is over."""
        seen = await swarms.cancel(task_id, caller=caller, request_id=request.request_id)
        response.headers["location"] = f"{routes.prefix}/status/{task_id}"
        return await present(seen)


def _to_submission(body: CoordinateRequest, caller: Caller, request_id: str, key: str | None) -> SwarmSubmission:
    context = body.context
    return SwarmSubmission(
        task=body.task,
        agents=tuple(body.agents),
        key_id=caller.id,
        tenant_id=caller.tenant_id,
        request_id=request_id,
        mode=body.coordination_mode,
        coordinator=body.coordinator,
        deadline=body.deadline,
        context=context.model_dump(mode="json", exclude={"user_id", "project_id"}),
        user_id=context.user_id,
        project_id=str(context.project_id) if context.project_id is not None else None,
        rounds=body.rounds,
        budget_usd=body.budget_usd,
        require_approval=body.require_approval,
        key=key,
    )
