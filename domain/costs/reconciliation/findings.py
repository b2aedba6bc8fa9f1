"""Findings of a reconciliation, and the terms by which lines and calls are compared."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

Outcome = Literal[
    "matched",
    "provider_only",
    "ledger_only",
    "cost_differs",
    "tokens_differ",
    "requests_differ",
    "duplicate",
    "unknown_model",
    "model_differs",
    "outside_period",
    "unreadable",
    "not_judged",
    "unknown_charged",
    "unknown_not_charged",
    "unknown_open",
]
NO_DIFFERENCE: frozenset[Outcome] = frozenset(
    {"matched", "not_judged", "unknown_charged", "unknown_not_charged", "unknown_open"}
)
APPLICABLE: tuple[Outcome, ...] = ("unknown_charged", "unknown_not_charged")
"""Unknown attempts whose end the invoice states."""

_SNAPSHOT = re.compile(r"[-@:][0-9v].*")


@dataclass(frozen=True, slots=True)
class Amounts:
    """Requests, tokens and US dollars; None where they are not stated."""

    requests: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: Decimal | None = None

    @property
    def tokens(self) -> int | None:
        if self.prompt_tokens is None and self.completion_tokens is None:
            return None
        return (self.prompt_tokens or 0) + (self.completion_tokens or 0)


NO_AMOUNTS = Amounts()


@dataclass(frozen=True, slots=True)
class Finding:
    """The judgement on one line (by its number), or on a call or sum of the ledger that no line names."""

    outcome: Outcome
    line: int | None = None
    call_id: str | None = None
    attempt: int | None = None
    provider_call_id: str | None = None
    at: datetime | None = None
    model: str | None = None
    key_id: str | None = None
    state: str | None = None
    billed: Amounts = NO_AMOUNTS
    booked: Amounts = NO_AMOUNTS
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """The period (days in UTC, both included), the tolerances, and the moment from which calls are too new to judge.

    Amounts agree if they differ by `tolerance_usd` at most, or by `tolerance_share` of the ledger's. `models` limits
    the calls that have to be on the invoice; empty means all. `known_models` are all models of the ledger.
    """

    first: date
    last: date
    tolerance_usd: Decimal
    tolerance_share: Decimal
    judged_before: datetime
    models: frozenset[str]
    known_models: Collection[str]

    def has(self, at: datetime) -> bool:
        """Return True if the moment is in the period."""
        return self.first <= at.astimezone(UTC).date() <= self.last

    def covers(self, model: str) -> bool:
        """Return True if calls to the model have to be on the invoice."""
        return not self.models or model in self.models

    def difference(self, billed: Amounts, booked: Amounts) -> Outcome | None:
        """Return the first difference of what both state: of costs, tokens or requests."""
        if not self._agree(billed.cost, booked.cost, self.tolerance_usd):
            return "cost_differs"
        if not self._agree(billed.tokens, booked.tokens, Decimal(0)):
            return "tokens_differ"
        if not self._agree(billed.requests, booked.requests, Decimal(0)):
            return "requests_differ"
        return None

    def _agree(self, billed: Decimal | int | None, booked: Decimal | int | None, absolute: Decimal) -> bool:
        if billed is None or booked is None:
            return True
        return abs(Decimal(billed) - Decimal(booked)) <= max(absolute, self.tolerance_share * booked)


def find_model(billed: str, models: Iterable[str]) -> str | None:
    """Return the model that a provider bills under this name: the same, or that of which it names a snapshot."""
    found = [name for name in models if name == billed or _is_snapshot(billed, name) or _is_snapshot(name, billed)]
    return max(found, key=lambda name: (name == billed, len(name)), default=None)


def _is_snapshot(name: str, model: str) -> bool:
    return name.startswith(model) and bool(_SNAPSHOT.fullmatch(name[len(model) :]))
