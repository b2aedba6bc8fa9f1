"""The reconciliations of a tenant: which there are, what was applied, and which periods are locked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import reduce

from domain.costs.reconciliation.events import BillingPeriodLocked, InvoiceReconciled, ReconciliationApplied
from domain.costs.reconciliation.findings import NO_DIFFERENCE
from domain.errors import Conflict, NotFound
from domain.events import Cause, Event
from domain.tenant_ids import stream_prefix


def stream(tenant_id: str) -> str:
    return f"{stream_prefix('billing', tenant_id)}reconciliations"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One reconciliation, with what came of it."""

    report: InvoiceReconciled
    applied: ReconciliationApplied | None = None
    locked: BillingPeriodLocked | None = None

    @property
    def differences(self) -> int:
        """The number of findings that a person has to look at."""
        counts = self.report.counts
        return sum(count for outcome, count in counts.items() if outcome not in NO_DIFFERENCE)


@dataclass(frozen=True, slots=True)
class Reconciliations:
    """All of a tenant, by id, oldest first."""

    version: int = 0
    by_id: Mapping[str, Reconciliation] = field(default_factory=dict)

    def find(self, reconciliation_id: str) -> Reconciliation:
        """Return one.

        Raises:
            NotFound: there is no such reconciliation.
        """
        if found := self.by_id.get(reconciliation_id):
            return found
        raise NotFound(f"there is no reconciliation {reconciliation_id}")

    def refuse_locked(self, provider: str, first: date, last: date) -> None:
        """Return if no day of the period is locked for the provider.

        Raises:
            Conflict: one is.
        """
        for each in self.by_id.values():
            lock = each.locked
            if lock and lock.provider == provider and lock.first <= last and first <= lock.last:
                raise Conflict(
                    f"{provider}'s invoices from {lock.first} to {lock.last} are reconciled, and the period is locked",
                    reconciliation_id=lock.reconciliation_id,
                    period_start=str(lock.first),
                    period_end=str(lock.last),
                )


def evolve(state: Reconciliations, event: Event) -> Reconciliations:
    match event:
        case InvoiceReconciled(reconciliation_id=name):
            changed = Reconciliation(event)
        case ReconciliationApplied(reconciliation_id=name):
            changed = replace(state.by_id[name], applied=event)
        case BillingPeriodLocked(reconciliation_id=name):
            changed = replace(state.by_id[name], locked=event)
        case _:
            return replace(state, version=state.version + 1)
    return Reconciliations(state.version + 1, {**state.by_id, name: changed})


def load(events: Iterable[Event]) -> Reconciliations:
    return reduce(evolve, events, Reconciliations())


def record(state: Reconciliations, report: InvoiceReconciled) -> list[Event]:
    """Record a reconciliation, once.

    Raises:
        Conflict: a day of its period is locked.
    """
    if report.reconciliation_id in state.by_id:
        return []
    state.refuse_locked(report.provider, report.first, report.last)
    return [report]


def start_application(state: Reconciliations, reconciliation_id: str) -> Reconciliation:
    """Return the reconciliation if it may be applied, or was.

    Raises:
        NotFound: there is no such reconciliation.
        Conflict: its period was locked before it was applied.
    """
    found = state.find(reconciliation_id)
    if found.applied is None:
        state.refuse_locked(found.report.provider, found.report.first, found.report.last)
    return found


def lock(state: Reconciliations, reconciliation_id: str, cause: Cause) -> list[Event]:
    """Lock the period of a reconciliation, once.

    Raises:
        NotFound: there is no such reconciliation.
        Conflict: a day of its period is locked by another one.
    """
    found = state.find(reconciliation_id)
    if found.locked:
        return []
    report = found.report
    state.refuse_locked(report.provider, report.first, report.last)
    place = {"provider": report.provider, "first": report.first, "last": report.last}
    return [BillingPeriodLocked(reconciliation_id=reconciliation_id, **place, **cause.fields())]
