"""Routes of Ali: questions, and tasks for which Ali chooses the agents."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi import Query as Parameter

from api.ali.answers import AliAnswer, AnswerPresenter
from api.ali.schemas import AliTask, CoordinationStatus, Query, QueryAnswer, QueryContext, TaskContext
from api.ali.service import AliService
from api.ali.team_service import TeamChoice, TeamChooser, TeamRequest
from api.chat.accepted_work import AcceptedWork
from api.chat.schemas import SessionId
from api.chat.structured_answers import Requester
from api.http.dependencies import CurrentRequest, IdempotencyKey, fresh, joins_on_repeat, requires
from api.http.request_context import RequestContext
from api.http.schemas import MAX_INT
from api.swarm.schemas import hashes_of, status
from api.swarm.service import SwarmService, SwarmSubmission
from domain.content import ContentStore
from domain.errors import Invalid
from domain.swarm.ports import SwarmView
from domain.tenant_ids import unqualified

_Turn = Annotated[int | None, Parameter(ge=1, le=MAX_INT, description="A turn of the session; the newest by default.")]


@dataclass(frozen=True, slots=True)
class AliDependencies:
    """The dependencies of Ali's routes."""

    ali: AliService
    teams: TeamChooser
    answers: AnswerPresenter
    swarms: SwarmService
    content: ContentStore
    now: Callable[[], datetime]


def router(parts: AliDependencies) -> APIRouter:
    """Build the routes `/api/v1/agents/ali/query` and `/coordinate`."""
    routes = APIRouter(prefix="/api/v1/agents/ali", tags=["Ali Intelligence"])
    _add_query_routes(routes, parts)
    _add_coordination_route(routes, parts)
    return routes


def _add_query_routes(routes: APIRouter, parts: AliDependencies) -> None:
    @routes.post(
        "/query",
        responses={202: {"model": QueryAnswer, "description": "Accepted; poll `Location`."}},
        dependencies=[requires("write"), joins_on_repeat()],
    )
    async def query(body: Query, request: CurrentRequest, key: IdempotencyKey, response: Response) -> QueryAnswer:
        """Asks Ali: returns the answer, the sources read for it, and suggested actions. 202 if it takes too long."""
        asker, timeout_s = _requester(body.context, request, key), body.timeout_s if body.wait else 0
        heard = await parts.ali.ask(
            body.query,
            _extra_context(body.context),
            asker,
            session_id=body.context.session_id,
            timeout_s=timeout_s,
        )
        if heard.status in {"running", "awaiting_approval"}:
            response.status_code = 202
            response.headers["location"] = f"{routes.prefix}/query/{unqualified(heard.session_id)}"
        return await _present(parts, heard, request)

    @routes.get("/query/{session_id}", dependencies=[requires("read"), fresh("chat")])
    async def get_answer(session_id: SessionId, request: CurrentRequest, turn: _Turn = None) -> QueryAnswer:
        """Returns an answer of Ali in the caller's tenant, or its state."""
        return await _present(parts, await parts.ali.read(session_id, turn), request)


def _add_coordination_route(routes: APIRouter, parts: AliDependencies) -> None:
    @routes.post(
        "/coordinate",
        status_code=202,
        dependencies=[requires("write"), joins_on_repeat()],
    )
    async def coordinate(
        body: AliTask, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> CoordinationStatus | AcceptedWork:
        """Chooses agents and mode for a task and starts a swarm: 202 and a `Location` to poll.

        With `Retry-After` the choice is not made yet: the same request with the same `Idempotency-Key` continues it.
        """
        if body.deadline is not None and body.deadline <= parts.now():
            raise Invalid("deadline: is in the past", field="deadline", reason="is in the past")
        asker = _requester(body.context, request, key)
        choice = await parts.teams.choose(
            TeamRequest(body.task, body.max_agents, body.mode, _extra_context(body.context)), asker
        )
        seen = await parts.swarms.coordinate(_swarm_submission(body, choice, asker))
        response.headers["location"] = f"/api/v1/swarm/status/{seen.row.task_id}"
        return await _present_coordination(parts, seen, choice)


def _requester(context: QueryContext | TaskContext, request: RequestContext, key: str | None) -> Requester:
    project_id = str(context.project_id) if context.project_id is not None else None
    caller = request.caller
    return Requester(caller.id, caller.tenant_id, request.request_id, key, context.user_id, project_id)


def _extra_context(context: QueryContext | TaskContext) -> dict[str, Any]:
    """Return the keys of the context that are passed on to Ali."""
    return context.model_dump(mode="json", exclude={"user_id", "session_id", "project_id"})


async def _present(parts: AliDependencies, heard: AliAnswer, request: RequestContext) -> QueryAnswer:
    answer, is_fresh = await parts.answers.present(heard, duration_ms=request.elapsed_ms())
    if not is_fresh:
        request.add_header("X-Convergio-Stale", "true")
    return answer


def _swarm_submission(body: AliTask, choice: TeamChoice, asker: Requester) -> SwarmSubmission:
    team = choice.team
    return SwarmSubmission(
        task=body.task,
        agents=team.members,
        key_id=asker.key_id,
        tenant_id=asker.tenant_id,
        request_id=asker.request_id,
        mode=team.mode,
        coordinator=team.coordinator,
        deadline=body.deadline,
        context=_extra_context(body.context),
        user_id=asker.user_id,
        project_id=asker.project_id,
        budget_usd=body.budget_usd,
        require_approval=body.require_approval,
        key=asker.key,
    )


async def _present_coordination(parts: AliDependencies, seen: SwarmView, choice: TeamChoice) -> CoordinationStatus:
    wanted = hashes_of(seen)
    texts = await asyncio.to_thread(parts.content.get, seen.row.task_id, wanted) if wanted else {}
    return CoordinationStatus(
        **dict(status(seen, texts, parts.now())),
        rationale=choice.team.rationale,
        chosen_by=choice.team.chosen_by,
        session_id=choice.session_id,
    )
