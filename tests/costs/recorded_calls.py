"""Calls that are recorded through the domain, without a model: settled, failed, cut, unknown and reserved ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from domain.costs import aggregate
from domain.costs.aggregate import Call, CallIntent
from domain.costs.events import CallCut, CallFailed, CallSettled
from domain.events import Cause, Event
from domain.ledger import Change, Ledger

STATES = ("settled", "settled", "settled", "settled", "settled", "settled", "failed", "cut", "unknown", "settled")
MODELS = ("gpt-4o", "gpt-4o-mini")


@dataclass(frozen=True)
class RecordedCall:
    """A call with one attempt."""

    n: int
    call_id: str
    state: str
    model: str
    at: datetime
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal

    @property
    def reference(self) -> str:
        return f"{self.call_id}.1"

    @property
    def provider_call_id(self) -> str:
        return f"chatcmpl-{self.call_id}"


def made(prefix: str, count: int, first: datetime, apart: timedelta) -> Iterator[RecordedCall]:
    """Calls of all states, one after another."""
    for n in range(count):
        tokens = (100 + n % 37, 10 + n % 11)
        cost = Decimal(tokens[0] * 3 + tokens[1] * 12) / Decimal(7_000_000)
        cost = cost.quantize(Decimal("1e-15"))
        yield RecordedCall(
            n, f"{prefix}-{n}", STATES[n % len(STATES)], MODELS[n % 2], first + n * apart, tokens[0], tokens[1], cost
        )


def record(ledger: Ledger, calls: Sequence[RecordedCall], tenant_id: str) -> None:
    """Append the events of the calls, in batches of transactions."""
    for batch in _batches(calls):
        changes = [Change(aggregate.stream(call.call_id), 0, _events(call, tenant_id)) for call in batch]
        ledger.append(*changes, key=f"recorded:{batch[0].call_id}")


def _batches(calls: Sequence[RecordedCall]) -> Iterator[list[RecordedCall]]:
    rest = iter(calls)
    while batch := list(islice(rest, 500)):
        yield batch


def _events(call: RecordedCall, tenant_id: str) -> list[Event]:
    began, ended = (Cause("key_1", "req_1", at, tenant_id) for at in (call.at, call.at + timedelta(seconds=3)))
    events = aggregate.reserve(Call(), _intent(call), began)
    opened = aggregate.load(events)
    known: dict[str, Any] = {
        "call_id": call.call_id,
        "attempt": 1,
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": call.completion_tokens,
        "estimated": call.state == "cut",
        "cost": call.cost,
        "price_version": "2026-11",
        "price_known": True,
        "provider_call_id": call.provider_call_id,
        **ended.fields(),
    }
    match call.state:
        case "settled":
            reply = {"model": call.model, "cached_prompt_tokens": 0, "reply_hash": "r", "finish": "stop"}
            return [*events, *aggregate.end(opened, CallSettled(**known, **reply, stands=True))]
        case "cut":
            return [*events, *aggregate.end(opened, CallCut(**known, error="the stream broke off"))]
        case "failed":
            failed = CallFailed(call_id=call.call_id, attempt=1, error="refused", **ended.fields())
            return [*events, *aggregate.end(opened, failed)]
        case "unknown":
            return [*events, *aggregate.lose(opened, 1, "timeout", ended)]
        case _:
            return events


def _intent(call: RecordedCall) -> CallIntent:
    return CallIntent(
        call_id=call.call_id,
        kind="chat",
        model=call.model,
        worst_case=Decimal("0.02"),
        price_version="2026-11",
        prompt_tokens_bound=500,
        max_tokens=100,
        deadline=call.at + timedelta(minutes=2),
        agent_id="=ada()",
        session_id="session_1",
        workflow_id="chat-session_1",
        key_id="key_1",
    )
