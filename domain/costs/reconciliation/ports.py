"""Ports of reconciliations: the calls of a period, and the findings, which are stored apart from the ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from domain.costs.projection import CallRow
from domain.costs.reconciliation.findings import Finding, Outcome
from domain.costs.reconciliation.lines import CallKey


@dataclass(frozen=True, slots=True)
class FindingPage:
    """A page of findings, in the order of the lines, then those without a line; `total` counts them all."""

    findings: list[Finding]
    total: int


class BookedCalls(Protocol):
    """The attempts that an invoice is compared with: of one tenant, or of all if that is None."""

    def batches(self, tenant_id: str | None, first: date, last: date) -> Iterator[list[CallRow]]:
        """Yield the attempts reserved on these days (UTC, both included), as they were at one moment."""
        ...

    def by_key(self, tenant_id: str | None, calls: Sequence[CallKey]) -> Mapping[CallKey, CallRow]:
        """Return the attempts, of any time, by what they are named by here; those that do not exist are absent."""
        ...

    def models(self, tenant_id: str | None) -> frozenset[str]:
        """Return the models of all calls."""
        ...


class FindingStore(Protocol):
    """The findings of reconciliations."""

    def replace(self, tenant_id: str, reconciliation_id: str, findings: Iterable[Finding]) -> None:
        """Store these findings in place of any of this reconciliation, all or none."""
        ...

    def page(self, reconciliation_id: str, outcome: Outcome | None, *, skip: int, limit: int) -> FindingPage: ...

    def batches(self, reconciliation_id: str, outcomes: Sequence[Outcome]) -> Iterator[list[Finding]]:
        """Yield the findings of these outcomes, or all without any, in the order of the lines."""
        ...
