"""Commands on runs of runbooks, through the ledger."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from domain.events import Cause, Event
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.runbooks import aggregate
from domain.runbooks.aggregate import RunbookRunRecord, StepFailure
from domain.runbooks.events import EndStatus, RunbookRequested


class RunbookCommands:
    """All are idempotent, and raise `domain.errors.Unavailable` where the ledger cannot be reached."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def load(self, run_id: str) -> RunbookRunRecord:
        """Return a run; one that was never requested has version 0."""
        return aggregate.load(self._ledger.read(aggregate.stream(run_id)))

    def request(
        self, run_id: str, runbook_id: str, parameters: Mapping[str, Any], cause: Cause, *, dry_run: bool
    ) -> RunbookRunRecord:
        """Record the request, once, and return the run."""
        event = RunbookRequested(
            run_id=run_id, runbook_id=runbook_id, parameters=dict(parameters), dry_run=dry_run, **cause.fields()
        )
        self._ledger.append(Change(aggregate.stream(run_id), 0, [event]), key=aggregate.request_key(run_id))
        return self.load(run_id)

    def start_step(self, run_id: str, step: str, cause: Cause) -> RunbookRunRecord:
        """Record an attempt at a step, unless it has ended.

        Raises:
            NotFound: there is no such run.
            Conflict: it has ended.
        """
        return self._change(run_id, lambda run: aggregate.start_step(run, step, cause), f"start:{step}")

    def end_step(
        self, run_id: str, step: str, result: Mapping[str, Any], failure: StepFailure | None, cause: Cause
    ) -> RunbookRunRecord:
        """Record the end of a step, once; the first one stands.

        Raises:
            NotFound: there is no such run.
        """
        return self._change(run_id, lambda run: aggregate.end_step(run, step, result, failure, cause), f"end:{step}")

    def request_approval(self, run_id: str, approval_id: str, cause: Cause) -> RunbookRunRecord:
        """Record that the run waits for an approval, once.

        Raises:
            NotFound: there is no such run.
        """
        return self._change(run_id, lambda run: aggregate.request_approval(run, approval_id, cause), "approval")

    def end(self, run_id: str, status: EndStatus, failure: StepFailure | None, cause: Cause) -> RunbookRunRecord:
        """Record the end of the run, once.

        Raises:
            NotFound: there is no such run.
        """
        return self._change(run_id, lambda run: aggregate.end(run, status, failure, cause), "end")

    def _change(
        self, run_id: str, decide: Callable[[RunbookRunRecord], Sequence[Event]], what: str
    ) -> RunbookRunRecord:
        def write() -> RunbookRunRecord:
            run = self.load(run_id)
            events = decide(run)
            if not events:
                return run
            # decided at a version: whoever else decides the same at it conflicts, loads again, and decides nothing
            key = f"runbook:{run_id}:{what}:{run.version}"
            self._ledger.append(Change(aggregate.stream(run_id), run.version, events), key=key)
            return self.load(run_id)

        return retry_on_conflict(write)
