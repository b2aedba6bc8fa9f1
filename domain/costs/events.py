"""Events of a model call, and of the budget of the run that makes it."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import AwareDatetime

from domain.events import Event

CallKind = Literal["chat", "embedding"]


class CallReserved(Event):
    """An attempt at a call is reserved: at most `worst_case` US dollars, ended by `deadline`.

    `enclosing_runs` are the runs that the run `workflow_id` is a part of, but for itself. `provider` is the name of
    the provider that is called; older events do not tell it. `fallback_from` is the model that would have been
    called first, and `fallback_reason` says why it was not, or not again: the kind of its failure, or
    `circuit_open`.
    """

    NAME = "costs.call_reserved"
    call_id: str
    attempt: int
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
    enclosing_runs: tuple[str, ...] = ()
    provider: str | None = None
    fallback_from: str | None = None
    fallback_reason: str | None = None


class CallSettled(Event):
    """The provider answered; the cost is known. Only the first settled reply of a call `stands`."""

    NAME = "costs.call_settled"
    call_id: str
    attempt: int
    model: str
    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int
    estimated: bool
    cost: Decimal
    price_version: str
    price_known: bool
    provider_call_id: str | None
    reply_hash: str
    finish: str
    stands: bool
    cache_write_tokens: int = 0


class CallCut(Event):
    """The answer broke off: the received part is charged as far as it could be counted.

    `refused` is as in `CallFailed`. Older events do not tell the cached tokens.
    """

    NAME = "costs.call_cut"
    call_id: str
    attempt: int
    prompt_tokens: int
    completion_tokens: int
    estimated: bool
    cost: Decimal
    price_version: str
    price_known: bool
    provider_call_id: str | None
    error: str
    refused: str | None = None
    cached_prompt_tokens: int = 0
    cache_write_tokens: int = 0


class CallFailed(Event):
    """The provider never worked on it, or refused: no charge.

    `refused` is the part of the request the model does not take: `tools`, `schema` (of its answer),
    `schema_with_tools`, or a parameter by its name.
    """

    NAME = "costs.call_failed"
    call_id: str
    attempt: int
    error: str
    refused: str | None = None


class CallLost(Event):
    """The attempt's end is unknown: the provider may charge up to its worst case.

    `failed` is True if the provider failed, rather than a worker of the platform.
    """

    NAME = "costs.call_lost"
    call_id: str
    attempt: int
    error: str
    failed: bool = False


class CallReconciled(Event):
    """The end of an unknown attempt is known from line `line` of a provider's invoice.

    It was `charged` with this cost, or the invoice states that it was not.
    """

    NAME = "costs.call_reconciled"
    call_id: str
    attempt: int
    reconciliation_id: str
    line: int
    charged: bool
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal
    provider_call_id: str | None = None


class BudgetReserved(Event):
    """The worst case of an attempt was reserved. `spent` and `reserved` are the budget's sums after it."""

    NAME = "costs.budget_reserved"
    root_id: str
    call_id: str
    attempt: int
    budget_usd: Decimal
    worst_case: Decimal
    spent: Decimal
    reserved: Decimal


class BudgetSettled(Event):
    """An attempt's end is known: its cost is spent, and its worst case released.

    `spent` and `reserved` are the budget's sums after it.
    """

    NAME = "costs.budget_settled"
    root_id: str
    call_id: str
    attempt: int
    worst_case: Decimal
    cost: Decimal
    spent: Decimal
    reserved: Decimal


class PriceSet(Event):
    """An operator set the price of a model, from a moment on: US dollars per million tokens.

    Cached tokens of a prompt cost as much as others where `cached_input_per_million` is None.
    """

    NAME = "costs.price_set"
    model: str
    input_per_million: Decimal
    output_per_million: Decimal
    cached_input_per_million: Decimal | None = None
    valid_from: AwareDatetime


class PriceWithdrawn(Event):
    """An operator withdrew the price of a model, from a moment on: the file's or the list's is in force again."""

    NAME = "costs.price_withdrawn"
    model: str
    valid_from: AwareDatetime


EVENTS: tuple[type[Event], ...] = (
    CallReserved,
    CallSettled,
    CallCut,
    CallFailed,
    CallLost,
    CallReconciled,
    BudgetReserved,
    BudgetSettled,
    PriceSet,
    PriceWithdrawn,
)
