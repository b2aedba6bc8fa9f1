"""Applies a reconciliation: unknown attempts whose end the invoice states are settled or recorded as failed."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial

from domain.costs import aggregate as call_aggregate
from domain.costs.events import CallReconciled
from domain.costs.reconciliation import aggregate
from domain.costs.reconciliation.aggregate import Reconciliation
from domain.costs.reconciliation.events import ReconciliationApplied
from domain.costs.reconciliation.findings import APPLICABLE, Finding
from domain.costs.reconciliation.ports import FindingStore
from domain.events import Cause, Event
from domain.ids import random_id
from domain.ledger import Change, Ledger, retry_on_conflict

_BATCH = 200


class ReconciliationApplier:
    """Ends unknown attempts. It can be repeated: an attempt that is no longer unknown stays as it is."""

    def __init__(self, ledger: Ledger, store: FindingStore) -> None:
        self._ledger = ledger
        self._store = store

    def apply(self, reconciliation_id: str, cause: Cause) -> Reconciliation:
        """End the unknown attempts that a reconciliation found on its invoice.

        Raises:
            NotFound: there is no such reconciliation.
            Conflict: its period was locked before it was applied.
        """
        stream = aggregate.stream(cause.tenant_id)
        found = aggregate.start_application(aggregate.load(self._ledger.read(stream)), reconciliation_id)
        if found.applied:
            return found
        ended: list[CallReconciled] = []
        unchanged = 0
        for batch in self._batches(reconciliation_id):
            here = retry_on_conflict(partial(self._end, reconciliation_id, batch, cause))
            ended += here
            unchanged += len(batch) - len(here)
        applied = _to_event(reconciliation_id, ended, unchanged, cause)

        def write() -> Reconciliation:
            state = aggregate.load(self._ledger.read(stream))
            # a lock that came meanwhile does not hide what was done
            if state.find(reconciliation_id).applied is None:
                self._ledger.append(Change(stream, state.version, [applied]), key=random_id("change"))
            return aggregate.load(self._ledger.read(stream)).find(reconciliation_id)

        return retry_on_conflict(write)

    def _batches(self, reconciliation_id: str) -> Iterator[list[Finding]]:
        for batch in self._store.batches(reconciliation_id, APPLICABLE):
            for first in range(0, len(batch), _BATCH):
                yield batch[first : first + _BATCH]

    def _end(self, reconciliation_id: str, findings: list[Finding], cause: Cause) -> list[CallReconciled]:
        """Return the ends that this reconciliation recorded, now or in an earlier try."""
        streams = [call_aggregate.stream(finding.call_id or "") for finding in findings]
        recorded = self._ledger.read_many(streams)
        changes: dict[str, Change] = {}
        ended: list[CallReconciled] = []
        for stream, finding in zip(streams, findings, strict=True):
            events = recorded.get(stream, [])
            earlier = [each for each in events if _is_end(each, reconciliation_id, finding)]
            pending = changes[stream].events if stream in changes else []
            decided = _decide(reconciliation_id, finding, [*events, *pending], cause)
            if decided:
                changes[stream] = Change(stream, len(events), [*pending, *decided])
            ended += [each for each in (*earlier, *decided) if isinstance(each, CallReconciled)]
        if changes:
            self._ledger.append(*changes.values(), key=random_id("change"))
        return ended


def _decide(reconciliation_id: str, finding: Finding, events: list[Event], cause: Cause) -> list[Event]:
    if not events or finding.attempt is None or finding.line is None:
        return []
    call = call_aggregate.load(events)
    # of the call's tenant: an operator's invoice has the calls of all tenants
    ours = Cause(cause.by, cause.because, cause.at, events[0].tenant_id)
    billed = finding.billed
    return call_aggregate.reconcile(
        call,
        CallReconciled(
            call_id=call.call_id,
            attempt=finding.attempt,
            reconciliation_id=reconciliation_id,
            line=finding.line,
            charged=finding.outcome == "unknown_charged",
            prompt_tokens=billed.prompt_tokens or 0,
            completion_tokens=billed.completion_tokens or 0,
            cost=billed.cost or Decimal(0),
            provider_call_id=finding.provider_call_id,
            **ours.fields(),
        ),
    )


def _is_end(event: Event, reconciliation_id: str, finding: Finding) -> bool:
    return (
        isinstance(event, CallReconciled)
        and event.reconciliation_id == reconciliation_id
        and event.attempt == finding.attempt
    )


def _to_event(
    reconciliation_id: str, ended: list[CallReconciled], unchanged: int, cause: Cause
) -> ReconciliationApplied:
    settled = [event for event in ended if event.charged]
    return ReconciliationApplied(
        reconciliation_id=reconciliation_id,
        settled=len(settled),
        failed=len(ended) - len(settled),
        unchanged=unchanged,
        cost=sum((event.cost for event in settled), Decimal(0)),
        **cause.fields(),
    )
