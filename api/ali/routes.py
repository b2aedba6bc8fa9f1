"""Routes of Ali: questions, and tasks for which Ali chooses the agents."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi import Query as Parameter

from api.ali.answers import AliAnswer, AnswerPresenter, from_chat_result, from_recorded_turn
from api.ali.schemas import AliTask, CoordinationStatus, Query, QueryAnswer, QueryContext, TaskContext
from api.ali.service import AliService, Requester, TeamChoice, TeamRequest
from api.chat.accepted_work import AcceptedWork
from api.chat.errors import failure_of_turn
from api.chat.schemas import SessionId
from api.chat.service import ChatService
from api.http.dependencies import CurrentRequest, IdempotencyKey, fresh, joins_on_repeat, requires
from api.http.request_context import RequestContext
from api.http.schemas import MAX_INT
from api.swarm.schemas import hashes_of, status
from api.swarm.service import SwarmService, SwarmSubmission
from domain.agents.names import ALI
from domain.chat.ports import ChatReads
from domain.content import ContentStore
from domain.errors import Invalid, NotFound, Unavailable
from domain.swarm.ports import SwarmView
from domain.tenant_ids import unqualified

_Turn = Annotated[int | None, Parameter(ge=1, le=MAX_INT, description="A turn of the session; the newest by default.")]


@dataclass(frozen=True, slots=True)
class AliDependencies:
    """The dependencies of Ali's routes."""

    ali: AliService
    answers: AnswerPresenter
    conversations: ChatService
    swarms: SwarmService
    chats: ChatReads
    content: ContentStore
    now: Callable[[], datetime]


def router(parts: AliDependencies) -> APIRouter:
    """Build the routes `/api/v1/agents/ali/query` and `/coordinate`."""
    routes = APIRouter(prefix="/api/v1/agents/ali", tags=["Ali Intelligence"])

    @routes.post(
        "/query",
        responses={202: {"model": QueryAnswer, "description": "Accepted; poll `Location`."}},
        dependencies=[requires("write"), joins_on_repeat()],
    )
    async def query(body: Query, request: CurrentRequest, key: IdempotencyKey, response: Response) -> QueryAnswer:
        """Asks Ali: returns the answer, the sources read for it, and suggested actions. 202 if it takes too long."""
        heard = await _ask(parts, body, _requester(body.context, request, key))
        if heard.status in {"running", "awaiting_approval"}:
            response.status_code = 202
            response.headers["location"] = f"{routes.prefix}/query/{unqualified(heard.session_id)}"
        return await _present(parts, heard, request)

    @routes.get("/query/{session_id}", dependencies=[requires("read"), fresh("chat")])
    async def get_answer(session_id: SessionId, request: CurrentRequest, turn: _Turn = None) -> QueryAnswer:
        """Returns an answer of Ali in the caller's tenant, or its state."""
        return await _present(parts, await _read_answer(parts, session_id, turn), request)

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
        choice = await parts.ali.choose(
            TeamRequest(body.task, body.max_agents, body.mode, _extra_context(body.context)), asker
        )
        seen = await parts.swarms.coordinate(_swarm_submission(body, choice, asker))
        response.headers["location"] = f"/api/v1/swarm/status/{seen.row.task_id}"
        return await _present_coordination(parts, seen, choice)

    return routes


def _requester(context: QueryContext | TaskContext, request: RequestContext, key: str | None) -> Requester:
    project_id = str(context.project_id) if context.project_id is not None else None
    caller = request.caller
    return Requester(caller.id, caller.tenant_id, request.request_id, key, context.user_id, project_id)


def _extra_context(context: QueryContext | TaskContext) -> dict[str, Any]:
    """Return the keys of the context that are passed on to Ali."""
    return context.model_dump(mode="json", exclude={"user_id", "session_id", "project_id"})


async def _ask(parts: AliDependencies, body: Query, asker: Requester) -> AliAnswer:
    """Ask the question and return its state after its time limit. A failed turn is raised.

    Raises:
        UpstreamFailed, TooLarge, OverBudget, Unavailable, Conflict: the turn failed for this reason.
    """
    session_id, timeout_s = body.context.session_id, body.timeout_s if body.wait else 0
    outcome = await parts.ali.ask(
        body.query, _extra_context(body.context), asker, session_id=session_id, timeout_s=timeout_s
    )
    said = outcome.said
    if said is None:
        return AliAnswer(outcome.session_id)
    if said.status == "failed":
        raise failure_of_turn(outcome, said)
    wanted = [said.reply_hash] if said.status == "completed" and said.reply_hash else []
    texts = await asyncio.to_thread(parts.content.get, outcome.session_id, wanted) if wanted else {}
    return from_chat_result(outcome, said, texts.get(said.reply_hash or ""))


async def _read_answer(parts: AliDependencies, session_id: str, turn: int | None) -> AliAnswer:
    """Return the state of a turn; without a number that of the newest, which may not have begun yet."""
    session = await asyncio.to_thread(parts.chats.session, session_id)
    if session is not None and session.agent_id != ALI:
        raise NotFound("there is no such session with Ali")
    standing = await parts.conversations.read_state(session_id)
    if session is None and standing.is_open is None:
        raise Unavailable("it cannot be determined now whether the session exists")
    number = turn or (session.turns if session else 0)
    spoken = await asyncio.to_thread(parts.chats.turns, session_id, skip=number - 1, limit=1) if number else []
    newest = from_recorded_turn(spoken[0]) if session and spoken else None
    if turn is None and standing.pending and (newest is None or newest.status != "awaiting_approval"):
        return AliAnswer(session_id, newest.turn if newest and newest.status == "running" else None)
    if newest is None:
        raise NotFound("there is no such session with Ali, or no such turn in it")
    return newest


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
