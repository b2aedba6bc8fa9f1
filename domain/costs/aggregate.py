"""One model call and its attempts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Any, Literal

from domain.costs.events import CallCut, CallFailed, CallKind, CallLost, CallReconciled, CallReserved, CallSettled
from domain.events import Cause, Event

CallState = Literal["reserved", "settled", "cut", "failed", "unknown"]
CANCELLED = "cancelled"
"""The error of an attempt that the platform cancelled."""
INVOICE = "invoice"
"""Stands for the price version of a cost that a provider's invoice states."""


def stream(call_id: str) -> str:
    return f"call:{call_id}"


@dataclass(frozen=True, slots=True)
class SettledReply:
    """A reply that was paid for, with its tokens and cost."""

    reply_hash: str
    finish: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Call:
    """The attempts by number (from 1) and the settled reply.

    `failed` are those that the provider refused, cut or left without an answer. Those lost with their worker do not
    count: a killed worker is not the provider's fault. `reconciled` are the costs by attempt that an invoice stated.
    `models` are the models by attempt, `errors` the kinds of failures by failed attempt.
    """

    call_id: str = ""
    version: int = 0
    attempts: Mapping[int, CallState] = field(default_factory=dict)
    reply: SettledReply | None = None
    failed: frozenset[int] = frozenset()
    reconciled: Mapping[int, Decimal] = field(default_factory=dict)
    models: Mapping[int, str] = field(default_factory=dict)
    errors: Mapping[int, str] = field(default_factory=dict)

    @property
    def open(self) -> tuple[int, ...]:
        return tuple(number for number, state in self.attempts.items() if state == "reserved")

    @property
    def failures(self) -> int:
        return len(self.failed)

    def failures_of(self, model: str) -> int:
        """Return the number of failures of one model."""
        return sum(self.models.get(attempt) == model for attempt in self.failed)

    def failures_by_model(self) -> dict[str, list[str]]:
        """Return the kinds of the failures of each model that failed, in order."""
        found: dict[str, list[str]] = {}
        for attempt in sorted(self.failed):
            found.setdefault(self.models.get(attempt, ""), []).append(self.errors[attempt])
        return found

    @property
    def next_attempt(self) -> int:
        return len(self.attempts) + 1


_STATES: Mapping[type[Event], CallState] = {
    CallReserved: "reserved",
    CallSettled: "settled",
    CallCut: "cut",
    CallFailed: "failed",
    CallLost: "unknown",
}


def evolve(call: Call, event: Event) -> Call:
    match event:
        case CallReserved() | CallSettled() | CallCut() | CallFailed() | CallLost():
            attempts = {**call.attempts, event.attempt: _STATES[type(event)]}
            return replace(
                call,
                call_id=event.call_id,
                version=call.version + 1,
                attempts=attempts,
                reply=call.reply or _reply(event),
                **_failure(call, event),
                **_model(call, event),
            )
        case CallReconciled():
            state: CallState = "settled" if event.charged else "failed"
            return replace(
                call,
                version=call.version + 1,
                attempts={**call.attempts, event.attempt: state},
                reconciled={**call.reconciled, event.attempt: event.cost},
            )
        case _:
            return replace(call, version=call.version + 1)


def _failure(call: Call, event: Event) -> dict[str, Any]:
    """Return the changes of a call by the failure of an attempt. A cancelled one did not fail at the provider."""
    if (isinstance(event, CallLost) and event.failed) or (
        isinstance(event, CallFailed | CallCut) and event.error != CANCELLED
    ):
        return {"failed": call.failed | {event.attempt}, "errors": {**call.errors, event.attempt: event.error}}
    return {}


def _model(call: Call, event: Event) -> dict[str, Any]:
    return {"models": {**call.models, event.attempt: event.model}} if isinstance(event, CallReserved) else {}


def _reply(event: Event) -> SettledReply | None:
    if not isinstance(event, CallSettled) or not event.stands:
        return None
    return SettledReply(
        event.reply_hash, event.finish, event.model, event.prompt_tokens, event.completion_tokens, event.cost
    )


def load(events: Iterable[Event]) -> Call:
    return reduce(evolve, events, Call())


@dataclass(frozen=True, slots=True)
class CallIntent:
    """The purpose of a call and its worst-case cost (US dollars).

    `priced_at` is the moment whose price is that of the reservation and of the settlement. `budget_usd` is the limit on
    all calls of the run `root_id` together. `fallback_from` is the model in whose place this one is called.
    """

    call_id: str
    kind: CallKind
    model: str
    worst_case: Decimal
    price_version: str
    prompt_tokens_bound: int
    max_tokens: int
    deadline: datetime
    agent_id: str
    session_id: str
    workflow_id: str
    key_id: str
    project_id: str | None = None
    budget_usd: Decimal | None = None
    root_id: str | None = None
    priced_at: datetime | None = None
    enclosing_runs: tuple[str, ...] = ()
    provider: str | None = None
    fallback_from: str | None = None
    fallback_reason: str | None = None


_RECORDED = tuple(name for name in CallIntent.__dataclass_fields__ if name in CallReserved.model_fields)


def reserve(call: Call, intent: CallIntent, cause: Cause) -> list[Event]:
    """Record orphaned attempts as lost and reserve the next one; nothing if a reply is settled."""
    if call.reply is not None:
        return []
    # a reserved attempt at this point belongs to a dead worker: a call has one attempt at a time
    lost = [event for number in call.open for event in lose(call, number, "its worker went away", cause)]
    values = {name: getattr(intent, name) for name in _RECORDED}
    return [*lost, CallReserved(attempt=call.next_attempt, **values, **cause.fields())]


def lose(call: Call, attempt: int, error: str, cause: Cause, *, failed: bool = False) -> list[Event]:
    """Record an attempt as unknown, unless its end is known. `failed`: the provider failed, not a worker."""
    if call.attempts.get(attempt) != "reserved":
        return []
    return [CallLost(call_id=call.call_id, attempt=attempt, error=error, failed=failed, **cause.fields())]


def end(call: Call, ended: CallSettled | CallCut | CallFailed) -> list[Event]:
    """Record the known end of an attempt, once. A late reply adds its cost, but the first settled one counts.

    A reply that comes even after an invoice named its attempt still stands, at the cost of the invoice.
    """
    if ended.attempt in call.reconciled and isinstance(ended, CallSettled) and call.reply is None:
        billed = {"cost": call.reconciled[ended.attempt], "price_version": INVOICE}
        return [ended.model_copy(update={"stands": True, **billed})]
    if call.attempts.get(ended.attempt) not in {"reserved", "unknown"}:
        return []
    if isinstance(ended, CallSettled):
        return [ended.model_copy(update={"stands": call.reply is None})]
    return [ended]


def reconcile(call: Call, ended: CallReconciled) -> list[Event]:
    """Record the end of an attempt as an invoice states it, if it is unknown so far."""
    return [ended] if call.attempts.get(ended.attempt) == "unknown" else []
