"""The books: every call, and what was used by tenant, day, agent, model and key."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import ClassVar

from domain.costs.aggregate import INVOICE, CallState
from domain.costs.events import CallCut, CallFailed, CallLost, CallReconciled, CallReserved, CallSettled
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class CallRow:
    """One attempt at a call. `cost` is exact US dollars; `worst_case` limits it while it is open or unknown.

    `refused` is the part of the request the model did not take, if that is why it failed. `provider` is None of calls
    that older releases recorded; `fallback_from` is the model in whose place this one was called.
    """

    TABLE: ClassVar[str] = "cost_calls"
    KEY: ClassVar[tuple[str, ...]] = ("call_id", "attempt")

    call_id: str
    attempt: int
    tenant_id: str
    state: CallState
    kind: str
    provider_call_id: str | None
    model: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: bool
    cost: Decimal
    worst_case: Decimal
    price_version: str
    price_known: bool
    agent_id: str
    session_id: str
    workflow_id: str
    key_id: str
    project_id: str | None
    error: str | None
    at: datetime
    deadline: datetime
    ended_at: datetime | None
    refused: str | None = None
    cached_prompt_tokens: int = 0
    cache_write_tokens: int = 0
    provider: str | None = None
    fallback_from: str | None = None
    fallback_reason: str | None = None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The usage of one model by one key through one agent on one day (UTC, of the reservation).

    `requests` are the calls the provider worked on: settled or cut. `open_cost` is the worst case of those reserved or
    unknown.
    """

    TABLE: ClassVar[str] = "cost_usage"
    KEY: ClassVar[tuple[str, ...]] = ("tenant_id", "day", "agent_id", "model", "key_id")

    tenant_id: str
    day: date
    agent_id: str
    model: str
    key_id: str
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = ZERO
    reserved: int = 0
    failed: int = 0
    unknown: int = 0
    open_cost: Decimal = ZERO


CallEvent = CallReserved | CallSettled | CallCut | CallFailed | CallLost | CallReconciled


class CostsProjection:
    """`domain.projection.Projection` of the cost ledger."""

    name = "costs"
    kinds: tuple[type[Row], ...] = (CallRow, UsageRow)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        event = recorded.event
        if isinstance(event, CallEvent):
            yield CallRow, (event.call_id, event.attempt)
        if isinstance(event, CallReserved):
            yield UsageRow, (event.tenant_id, _day(event.at), event.agent_id, event.model, event.key_id)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        event = recorded.event
        if not isinstance(event, CallEvent):
            return
        if isinstance(event, CallReserved):
            before, after = None, _new_row(event)
        else:
            before = rows.get(CallRow, event.call_id, event.attempt)
            if before is None:
                raise LookupError(f"{event.call_id}.{event.attempt} was never reserved")
            after = _with_end(before, event)
        rows.put(after)
        place = after.tenant_id, _day(after.at), after.agent_id, after.model, after.key_id
        usage = rows.get(UsageRow, *place) or UsageRow(*place)
        rows.put(_add_call(_add_call(usage, before, -1), after, 1))


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()


def _new_row(event: CallReserved) -> CallRow:
    return CallRow(
        call_id=event.call_id,
        attempt=event.attempt,
        tenant_id=event.tenant_id,
        state="reserved",
        kind=event.kind,
        provider_call_id=None,
        model=event.model,
        prompt_tokens=0,
        completion_tokens=0,
        total_tokens=0,
        estimated=False,
        cost=ZERO,
        worst_case=event.worst_case,
        price_version=event.price_version,
        price_known=True,
        agent_id=event.agent_id,
        session_id=event.session_id,
        workflow_id=event.workflow_id,
        key_id=event.key_id,
        project_id=event.project_id,
        error=None,
        at=event.at,
        deadline=event.deadline,
        ended_at=None,
        provider=event.provider,
        fallback_from=event.fallback_from,
        fallback_reason=event.fallback_reason,
    )


def _with_end(row: CallRow, event: CallSettled | CallCut | CallFailed | CallLost | CallReconciled) -> CallRow:
    match event:
        case CallSettled() | CallCut():
            return replace(
                row,
                state="settled" if isinstance(event, CallSettled) else "cut",
                provider_call_id=event.provider_call_id,
                prompt_tokens=event.prompt_tokens,
                completion_tokens=event.completion_tokens,
                total_tokens=event.prompt_tokens + event.completion_tokens,
                estimated=event.estimated,
                cost=event.cost,
                price_version=event.price_version,
                price_known=event.price_known,
                error=event.error if isinstance(event, CallCut) else None,
                refused=event.refused if isinstance(event, CallCut) else None,
                cached_prompt_tokens=event.cached_prompt_tokens,
                cache_write_tokens=event.cache_write_tokens,
                ended_at=event.at,
            )
        case CallFailed():
            return replace(row, state="failed", error=event.error, refused=event.refused, ended_at=event.at)
        case CallLost():
            return replace(row, state="unknown", error=event.error, ended_at=event.at)
        case CallReconciled():
            return replace(
                row,
                state="settled" if event.charged else "failed",
                provider_call_id=event.provider_call_id or row.provider_call_id,
                prompt_tokens=event.prompt_tokens,
                completion_tokens=event.completion_tokens,
                total_tokens=event.prompt_tokens + event.completion_tokens,
                cost=event.cost,
                price_version=INVOICE,
                price_known=True,
                ended_at=event.at,
            )


def _add_call(usage: UsageRow, row: CallRow | None, sign: int) -> UsageRow:
    """Return the usage with this call added (sign 1) or subtracted (sign -1)."""
    if row is None:
        return usage
    worked_on = sign * (row.state in {"settled", "cut"})
    is_open = row.state in {"reserved", "unknown"}
    return replace(
        usage,
        requests=usage.requests + worked_on,
        prompt_tokens=usage.prompt_tokens + sign * row.prompt_tokens,
        completion_tokens=usage.completion_tokens + sign * row.completion_tokens,
        cost=usage.cost + sign * row.cost,
        reserved=usage.reserved + sign * (row.state == "reserved"),
        failed=usage.failed + sign * (row.state == "failed"),
        unknown=usage.unknown + sign * (row.state == "unknown"),
        open_cost=usage.open_cost + (sign * row.worst_case if is_open else ZERO),
    )
