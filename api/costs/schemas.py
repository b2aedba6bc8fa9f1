"""Response models of usage and of the cost ledger."""

from datetime import date
from typing import Literal

from api.http.schemas import Money, Pagination, SessionName, Timestamp, View


class PeriodUsage(View):
    """Total usage. `requests` are calls that the provider processed; `open_cost` bounds the cost of open ones.

    Open calls are `reserved` or `unknown`.
    """

    total_cost: Money
    total_tokens: int
    requests: int
    period_start: Timestamp
    period_end: Timestamp
    reserved: int
    failed: int
    unknown: int
    open_cost: Money


class GroupFigures(View):
    """Usage of one group."""

    cost: Money
    tokens: int
    requests: int
    failed: int
    unknown: int


class AgentUsage(GroupFigures):
    """Usage of one agent."""

    agent_id: str


class ModelUsage(GroupFigures):
    """Usage of one model."""

    model: str


class DailyUsage(GroupFigures):
    """Usage of one day (UTC)."""

    date: date


class GroupUsage(GroupFigures):
    """Usage of one value of `group_by`."""

    name: str


class CostUsage(View):
    """Usage of a period. `groups` is present if `group_by` was given."""

    current_period: PeriodUsage
    by_agent: list[AgentUsage]
    by_model: list[ModelUsage]
    daily: list[DailyUsage]
    groups: list[GroupUsage] | None = None


class CostLedgerEntry(View):
    """One attempt at a model call. `cost` is exact; `worst_case` bounds it while it is `reserved` or `unknown`.

    `refused` is the part of the request that the model does not support, if that is why it failed: `tools`, `schema`,
    `schema_with_tools`, or a parameter's name. The call was repeated without it. `provider` is the one that was called;
    older entries do not tell it. `fallback_from` is the model that the agent names first, if another one was called in
    its place, and `fallback_reason` says why: the `error` of its last attempt, or `circuit_open`.
    """

    call_id: str
    attempt: int
    state: Literal["reserved", "settled", "cut", "failed", "unknown"]
    kind: Literal["chat", "embedding"]
    provider_call_id: str | None
    model: str
    prompt_tokens: int
    cached_prompt_tokens: int
    cache_write_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: bool
    cost: Money
    worst_case: Money
    price_version: str
    price_known: bool
    agent_id: str
    session_id: SessionName
    workflow_id: str
    key_id: str
    project_id: str | None
    error: str | None
    at: Timestamp
    ended_at: Timestamp | None
    refused: str | None
    provider: str | None
    fallback_from: str | None
    fallback_reason: str | None


class CostLedgerPage(View):
    """Attempts at model calls, newest first."""

    data: list[CostLedgerEntry]
    pagination: Pagination
