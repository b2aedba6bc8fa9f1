"""Routes of approvals."""

import asyncio
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AwareDatetime

from api.approvals.requests import (
    ApproveRequest,
    BatchDecision,
    BatchRequest,
    DelegateRequest,
    EscalateRequest,
    RejectRequest,
)
from api.approvals.responses import (
    ApprovalDetails,
    ApprovalList,
    ApprovalWithHistory,
    BatchResult,
    BatchResultList,
    PendingApprovalList,
    Risk,
    Status,
    to_approval,
    to_approval_with_history,
)
from api.approvals.service import ActionResult, ApprovalAction, DecisionService
from api.http.caller import Caller
from api.http.dependencies import CurrentCaller, CurrentTenant, IdempotencyKey, Paged, RequestId, fresh, requires
from api.http.errors import to_failure
from api.http.schemas import ErrorBody
from domain.approvals.aggregate import OPEN
from domain.approvals.instructions import Verb
from domain.approvals.ports import ApprovalFilter, ApprovalReads
from domain.errors import DomainError, NotFound

_CONCURRENCY = 10
PREFIX = "/api/v1/approvals"
_OK, _ACCEPTED = 200, 202
_ACCEPTED_RESPONSE: dict[int | str, dict[str, Any]] = {
    _ACCEPTED: {"model": ApprovalDetails, "description": "Accepted, not recorded yet; poll `Location`."}
}
_NO_NUL = r"^[^\x00]*$"
_WITHOUT_EDIT = ApproveRequest()
_WITHOUT_COMMENT = EscalateRequest()
_Name = Annotated[str | None, Query(min_length=1, max_length=200, pattern=_NO_NUL)]
ApprovalId = Annotated[str, Path(min_length=1, max_length=200, pattern=_NO_NUL)]


async def _filter(
    tenant_id: CurrentTenant,
    *,
    risk_level: Risk | None = None,
    type: _Name = None,  # noqa: A002  (the field's name in the API)
    agent_id: _Name = None,
    workflow_id: _Name = None,
    requested_by: _Name = None,
    assigned_to: Annotated[_Name, Query(description="A key among the deciders.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Requested at or after this moment.")] = None,
    before: Annotated[AwareDatetime | None, Query(description="Requested before this moment.")] = None,
) -> ApprovalFilter:
    names = (risk_level, type, agent_id, workflow_id, requested_by, assigned_to)
    return ApprovalFilter(tenant_id, None, *names, since, before)


@dataclass(frozen=True, slots=True)
class _Requester:
    """The caller, the request and its idempotency key."""

    caller: Caller
    request_id: str
    key: str | None

    def action(self, approval_id: str, verb: Verb, comment: str | None, **more: str | None) -> ApprovalAction:
        return ApprovalAction(approval_id, verb, self.caller, self.request_id, self.key, comment, **more)


async def _requester(caller: CurrentCaller, request_id: RequestId, key: IdempotencyKey) -> _Requester:
    return _Requester(caller, request_id, key)


RequestedFilter = Annotated[ApprovalFilter, Depends(_filter)]
CurrentRequester = Annotated[_Requester, Depends(_requester)]


def router(reads: ApprovalReads, decisions: DecisionService) -> APIRouter:
    """Build the routes `/api/v1/approvals`."""
    routes = APIRouter(prefix=PREFIX, tags=["Approvals"])
    _add_reads(routes, reads)
    _add_decisions(routes, decisions)
    return routes


def _add_reads(routes: APIRouter, reads: ApprovalReads) -> None:
    reading = [requires("read"), fresh("approvals")]

    @routes.get("/pending", dependencies=reading)
    def list_pending_approvals(page: Paged, wanted: RequestedFilter) -> PendingApprovalList:
        """Lists open approvals of the caller's tenant, the oldest first."""
        found = reads.page(replace(wanted, status=OPEN), skip=page.skip, limit=page.limit, newest_first=False)
        shown = [to_approval(read) for read in found.approvals]
        return PendingApprovalList(pending_approvals=shown, **page.listing_fields(found.total))

    @routes.get("", dependencies=reading)
    def list_approvals(
        page: Paged,
        wanted: RequestedFilter,
        status: Annotated[list[Status] | None, Query(max_length=6, description="One or several.")] = None,
    ) -> ApprovalList:
        """Lists approvals of the caller's tenant, the newest first."""
        named = replace(wanted, status=tuple(status) if status else None)
        found = reads.page(named, skip=page.skip, limit=page.limit, newest_first=True)
        return ApprovalList(
            data=[to_approval(read) for read in found.approvals], pagination=page.pagination(found.total)
        )

    @routes.get("/{approval_id}", dependencies=reading)
    def get_approval(approval_id: ApprovalId, tenant_id: CurrentTenant) -> ApprovalWithHistory:
        """Returns one approval with its whole history."""
        read = reads.get(tenant_id, approval_id)
        if read is None:
            raise NotFound("there is no such approval")
        return to_approval_with_history(read, reads.history(tenant_id, approval_id))


def _add_decisions(routes: APIRouter, decisions: DecisionService) -> None:
    deciding = [requires("approve")]

    @routes.post("/batch", dependencies=deciding)
    async def decide_batch(body: BatchRequest, asking: CurrentRequester) -> BatchResultList:
        """Decides several approvals. Always 200: `results` has each one's status, in the order of `decisions`."""
        gate = asyncio.Semaphore(_CONCURRENCY)

        async def one(decision: BatchDecision) -> BatchResult:
            said = decision.comment or decision.reason
            wish = asking.action(decision.id, decision.decision, said, edited_content=decision.edited_content)
            async with gate:
                return await _decide_one(decisions, wish)

        return BatchResultList(results=await asyncio.gather(*(one(decision) for decision in body.decisions)))

    @routes.post("/{approval_id}/approve", responses=_ACCEPTED_RESPONSE, dependencies=deciding)
    async def approve(
        approval_id: ApprovalId, asking: CurrentRequester, response: Response, body: ApproveRequest = _WITHOUT_EDIT
    ) -> ApprovalDetails:
        """Approves the content, as it is or edited. 409 with the existing decision if decided already."""
        wish = asking.action(approval_id, "approve", body.comment, edited_content=body.edited_content)
        return _respond(await decisions.execute(wish), response)

    @routes.post("/{approval_id}/reject", responses=_ACCEPTED_RESPONSE, dependencies=deciding)
    async def reject(
        approval_id: ApprovalId, asking: CurrentRequester, body: RejectRequest, response: Response
    ) -> ApprovalDetails:
        """Rejects the content. 409 with the existing decision if decided already."""
        return _respond(await decisions.execute(asking.action(approval_id, "reject", body.reason)), response)

    @routes.post("/{approval_id}/delegate", responses=_ACCEPTED_RESPONSE, dependencies=deciding)
    async def delegate(
        approval_id: ApprovalId, asking: CurrentRequester, body: DelegateRequest, response: Response
    ) -> ApprovalDetails:
        """Delegates one's decision to another key, which decides from now on."""
        return _respond(
            await decisions.execute(asking.action(approval_id, "delegate", body.comment, to=body.to)), response
        )

    @routes.post("/{approval_id}/escalate", responses=_ACCEPTED_RESPONSE, dependencies=deciding)
    async def escalate(
        approval_id: ApprovalId, asking: CurrentRequester, response: Response, body: EscalateRequest = _WITHOUT_COMMENT
    ) -> ApprovalDetails:
        """Escalates to the deciders that the rules name, who get the full time to decide."""
        return _respond(await decisions.execute(asking.action(approval_id, "escalate", body.comment)), response)


def _respond(taken: ActionResult, response: Response) -> ApprovalDetails:
    """Return the current approval; 202 while the action is not recorded yet."""
    if not taken.is_done:
        response.status_code = _ACCEPTED
        response.headers["location"] = f"{PREFIX}/{taken.read.row.id}"
    return to_approval(taken.read)


async def _decide_one(decisions: DecisionService, wish: ApprovalAction) -> BatchResult:
    """Execute one decision of a batch. An unexpected error fails the whole batch."""
    try:
        taken = await decisions.execute(wish)
    except DomainError as refused:
        failure = to_failure(refused)
        error = ErrorBody(code=failure.code, message=failure.message, details=dict(failure.details))
        return BatchResult(id=wish.approval_id, status=failure.status, error=error)
    status = _OK if taken.is_done else _ACCEPTED
    return BatchResult(id=wish.approval_id, status=status, approval=to_approval(taken.read))
