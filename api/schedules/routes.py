"""Routes of schedules."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response

from api.http.dependencies import (
    CurrentRequest,
    CurrentTenant,
    IdempotencyKey,
    IfMatch,
    Paged,
    fresh,
    joins_on_repeat,
    requires,
    set_etag,
)
from api.http.request_context import RequestContext
from api.http.schemas import DeletedResource
from api.schedules.schemas import (
    FiringList,
    NewSchedule,
    ScheduleChanges,
    ScheduleDetails,
    ScheduleList,
    ScheduleSummary,
    TriggeredFiring,
    to_firing,
)
from api.schedules.service import ScheduleService, ScheduleWithTexts
from domain.events import Cause
from domain.schedules.commands import ScheduleCommands
from domain.schedules.definition import ScheduleDefinition, TargetKind
from domain.schedules.ports import NamedSchedule, ScheduleFilter, ScheduleReads

PREFIX = "/api/v1/schedules"
_Id = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9_~-]+$")]
_Status = Literal["active", "paused"]
_DEFINED = frozenset(ScheduleSummary.model_fields) & frozenset(ScheduleDefinition.model_fields)


@dataclass(frozen=True, slots=True)
class ScheduleRouteServices:
    """The services that the routes call."""

    schedules: ScheduleService
    commands: ScheduleCommands
    reads: ScheduleReads
    now: Callable[[], datetime]

    def cause(self, request: RequestContext) -> Cause:
        """Return the cause of a change: the caller, the request and the time."""
        return request.cause(self.now())

    async def refuse_others(self, schedule_id: str, request: RequestContext) -> None:
        """Return if the caller may change what the schedule does: of a runbook, only an operator.

        Raises:
            NotFound: there is no such schedule.
            Forbidden: the caller is no operator.
        """
        found = await asyncio.to_thread(self.commands.load, request.caller.tenant_id, schedule_id)
        _require_operator(found.current.target_kind, request)


def router(service: ScheduleRouteServices) -> APIRouter:
    """Build the routes `/api/v1/schedules`."""
    routes = APIRouter(prefix=PREFIX, tags=["Schedules"])
    _add_definition_routes(routes, service)
    _add_control_routes(routes, service)
    _add_read_routes(routes, service)
    return routes


def _add_definition_routes(routes: APIRouter, service: ScheduleRouteServices) -> None:
    @routes.post("", status_code=201, dependencies=[requires("write"), fresh("schedules")])
    async def create_schedule(
        body: NewSchedule, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> ScheduleDetails:
        """Creates a schedule that starts a chat message, a swarm or a workflow as its maker; for `admin`, a runbook."""
        _require_operator(body.target.kind, request)
        found = await service.schedules.create(body, service.cause(request), key)
        response.headers["location"] = f"{PREFIX}/{found.schedule_id}"
        return _to_details(found, response)

    @routes.put("/{schedule_id}", dependencies=[requires("write")])
    async def change_schedule(
        schedule_id: _Id, body: ScheduleChanges, request: CurrentRequest, expected: IfMatch, response: Response
    ) -> ScheduleDetails:
        """Changes the given fields of a schedule. It acts as the caller from then on."""
        await service.refuse_others(schedule_id, request)
        if body.target is not None:
            _require_operator(body.target.kind, request)
        found = await service.schedules.change(schedule_id, body, service.cause(request), expected)
        return _to_details(found, response)

    @routes.delete("/{schedule_id}", dependencies=[requires("write")])
    async def delete_schedule(schedule_id: _Id, request: CurrentRequest, expected: IfMatch) -> DeletedResource:
        """Deletes a schedule: it fires no more. What it has started goes on."""
        await service.refuse_others(schedule_id, request)
        await service.schedules.delete(schedule_id, service.cause(request), expected)
        return DeletedResource(id=schedule_id)


def _add_control_routes(routes: APIRouter, service: ScheduleRouteServices) -> None:
    @routes.post("/{schedule_id}/pause", dependencies=[requires("write")])
    async def pause_schedule(schedule_id: _Id, request: CurrentRequest, response: Response) -> ScheduleDetails:
        """Pauses a schedule: it fires only by hand. Times that pass meanwhile are not made up for."""
        await service.refuse_others(schedule_id, request)
        return _to_details(await service.schedules.pause(schedule_id, service.cause(request)), response)

    @routes.post("/{schedule_id}/resume", dependencies=[requires("write")])
    async def resume_schedule(schedule_id: _Id, request: CurrentRequest, response: Response) -> ScheduleDetails:
        """Resumes a paused schedule."""
        await service.refuse_others(schedule_id, request)
        return _to_details(await service.schedules.resume(schedule_id, service.cause(request)), response)

    @routes.post("/{schedule_id}/trigger", status_code=202, dependencies=[requires("write"), joins_on_repeat()])
    async def trigger_schedule(
        schedule_id: _Id, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> TriggeredFiring:
        """Starts a firing now, paused or not, whatever runs already: 202 and the history to poll."""
        await service.refuse_others(schedule_id, request)
        firing_id = await service.schedules.trigger(schedule_id, service.cause(request), key)
        response.headers["location"] = f"{PREFIX}/{schedule_id}/history"
        return TriggeredFiring(id=firing_id, schedule_id=schedule_id)


def _add_read_routes(routes: APIRouter, service: ScheduleRouteServices) -> None:
    viewing = [requires("read"), fresh("schedules")]

    @routes.get("", dependencies=viewing)
    def list_schedules(
        page: Paged,
        tenant_id: CurrentTenant,
        with_status: Annotated[_Status | None, Query(alias="status")] = None,
        target_kind: TargetKind | None = None,
    ) -> ScheduleList:
        """Lists the schedules of the caller's tenant, newest first."""
        found = service.reads.page(
            ScheduleFilter(tenant_id, with_status, target_kind), skip=page.skip, limit=page.limit
        )
        return ScheduleList.model_validate(
            {"data": [_to_summary(each) for each in found.schedules], "pagination": page.pagination(found.total)}
        )

    @routes.get("/{schedule_id}", dependencies=[requires("read")])
    async def get_schedule(schedule_id: _Id, tenant_id: CurrentTenant, response: Response) -> ScheduleDetails:
        """Returns a schedule and its next times."""
        return _to_details(await service.schedules.read(tenant_id, schedule_id), response)

    @routes.get("/{schedule_id}/history", dependencies=viewing)
    async def list_firings(schedule_id: _Id, tenant_id: CurrentTenant, page: Paged) -> FiringList:
        """Lists the firings of a schedule, newest first, each with its run or the reason why it was refused."""
        found = await service.schedules.firings(tenant_id, schedule_id, skip=page.skip, limit=page.limit)
        return FiringList.model_validate(
            {"data": [to_firing(each) for each in found.firings], "pagination": page.pagination(found.total)}
        )


def _require_operator(kind: TargetKind, request: RequestContext) -> None:
    if kind == "runbook":
        request.caller.require("admin")


def _to_summary(found: NamedSchedule) -> dict[str, Any]:
    row = found.row
    plain = {name: getattr(row, name) for name in _DEFINED}
    return {
        **plain,
        "id": row.schedule_id,
        "name": found.name,
        "status": "paused" if row.paused else "active",
        "version": row.revision,
        "created_by": row.created_by,
        "acts_as": row.maker,
        "created_at": row.created_at,
        "updated_at": row.changed_at,
    }


def _to_details(found: ScheduleWithTexts, response: Response) -> ScheduleDetails:
    """Return the schedule with its entity tag."""
    state, forecast = found.state, found.forecast
    set_etag(response, state.revision)
    return ScheduleDetails.model_validate(
        {
            **{name: getattr(state.current, name) for name in _DEFINED},
            "id": found.schedule_id,
            "name": found.name,
            "status": "paused" if state.paused else "active",
            "version": state.revision,
            "created_by": state.created_by,
            "acts_as": state.maker,
            "created_at": state.created_at,
            "updated_at": state.changed_at,
            "target": found.target,
            "next_times": None if forecast is None else list(forecast.next_times),
            "in_force": found.in_force,
            "skipped": None if forecast is None else forecast.skipped,
            "missed": None if forecast is None else forecast.missed,
        }
    )
