"""Routes of the cost ledger: usage, and every attempt at a model call."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from api.costs.parameters import FirstDay, LastDay, NameQuery, PeriodQuery
from api.costs.schemas import CostLedgerEntry, CostLedgerPage, CostUsage, GroupUsage
from api.http.dependencies import CurrentTenant, Page, Paged, fresh, requires
from api.tables.figures import CSV_TOO, FormatQuery, to_table
from domain.costs import policy
from domain.costs.ports import CallFilter, CallPage, CostReads, GroupBy, UsageGroup
from domain.tenant_ids import qualified


def router(costs: CostReads, now: Callable[[], datetime]) -> APIRouter:
    """Build the routes `/api/v1/cost-management`."""
    routes = APIRouter(
        prefix="/api/v1/cost-management", tags=["Cost Management"], dependencies=[requires("read"), fresh("costs")]
    )

    @routes.get("/usage", response_model=CostUsage, responses=CSV_TOO)
    def usage(
        tenant_id: CurrentTenant,
        *,
        period: PeriodQuery = None,
        first: FirstDay = None,
        last: LastDay = None,
        group_by: GroupBy | None = None,
        as_format: FormatQuery = "json",
    ) -> CostUsage | Response:
        """Returns cost, tokens and requests of the caller's tenant in a period: total, by agent, model and day.

        As CSV it is the table of `group_by`, or of agents if that was not given.
        """
        days = policy.period(period, first, last, now().astimezone(UTC).date())
        by = partial(costs.usage, tenant_id, *days)
        if as_format == "csv":
            groups = [GroupUsage(name=group.name, **_figures(group)) for group in by(group_by or "agent")]
            return to_table(GroupUsage, groups, "cost_usage", ("name",))
        return _usage(by, days, group_by)

    @routes.get("/ledger", response_model=CostLedgerPage, responses=CSV_TOO)
    def ledger(
        page: Paged,
        tenant_id: CurrentTenant,
        *,
        state: Literal["reserved", "settled", "cut", "failed", "unknown"] | None = None,
        kind: Literal["chat", "embedding"] | None = None,
        model: NameQuery = None,
        agent_id: NameQuery = None,
        session_id: NameQuery = None,
        workflow_id: NameQuery = None,
        key_id: NameQuery = None,
        call_id: NameQuery = None,
        since: Annotated[AwareDatetime | None, Query(description="Reserved at or after this moment.")] = None,
        before: Annotated[AwareDatetime | None, Query(description="Reserved before this moment.")] = None,
        as_format: FormatQuery = "json",
    ) -> CostLedgerPage | Response:
        """Lists every attempt at a model call of the caller's tenant, newest first. As CSV it is the same page."""
        session = qualified(tenant_id, session_id) if session_id else None
        names = (state, kind, model, agent_id, session, workflow_id, key_id, call_id)
        wanted = CallFilter(tenant_id, *names, since, before)
        found = _calls(costs.calls(wanted, skip=page.skip, limit=page.limit), page)
        return to_table(CostLedgerEntry, found.data, "cost_ledger") if as_format == "csv" else found

    return routes


def _calls(found: CallPage, page: Page) -> CostLedgerPage:
    return CostLedgerPage.model_validate({"data": found.calls, "pagination": page.pagination(found.total)})


def _usage(by: Callable[[GroupBy], list[UsageGroup]], days: tuple[date, date], group_by: GroupBy | None) -> CostUsage:
    by_agent = by("agent")
    found = {
        "current_period": _period(by_agent, *days),
        "by_agent": [{"agent_id": group.name, **_figures(group)} for group in by_agent],
        "by_model": [{"model": group.name, **_figures(group)} for group in by("model")],
        "daily": [{"date": group.name, **_figures(group)} for group in by("day")],
        "groups": [{"name": group.name, **_figures(group)} for group in by(group_by)] if group_by else None,
    }
    return CostUsage.model_validate(found)


def _figures(group: UsageGroup) -> dict[str, Any]:
    return {
        "cost": group.cost,
        "tokens": group.tokens,
        "requests": group.requests,
        "failed": group.failed,
        "unknown": group.unknown,
    }


def _period(groups: list[UsageGroup], first: date, last: date) -> dict[str, Any]:
    return {
        "total_cost": sum((group.cost for group in groups), Decimal(0)),
        "total_tokens": sum(group.tokens for group in groups),
        "requests": sum(group.requests for group in groups),
        "period_start": datetime.combine(first, time.min, UTC),
        "period_end": datetime.combine(last, time(23, 59, 59), UTC),
        "reserved": sum(group.reserved for group in groups),
        "failed": sum(group.failed for group in groups),
        "unknown": sum(group.unknown for group in groups),
        "open_cost": sum((group.open_cost for group in groups), Decimal(0)),
    }
