"""Which work of the moment of a backup goes on after a restoration: pure rules.

Whatever was going on by itself at that moment has probably gone on after it, and was paid for until the system was
lost. To let it go on from the older moment would pay again. So it ends as lost, and people decide to start it anew.
What waited for people then has not moved by itself: it waits on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

APPROVAL_TYPE, FIRING_TYPE, RUNBOOK_TYPE = "Approval", "ScheduleFiring", "Runbook"
WORK_TYPES = frozenset({"AgentChat", "GraphItems", "GraphRun", "Swarm", RUNBOOK_TYPE})
"""The workflows that call models, or start those that do, and those that wait for approvals."""
LEFT_ALONE = frozenset({"Erasure", "Ingest", "Reconcile", "Retention"})
"""The workflows that go on as after a crash: they start nothing, and call no model but that of embeddings.

A document that is not indexed is indexed anyway. The batches that were embedded after the backup are embedded again.
"""
_HARMLESS: Mapping[str, frozenset[str]] = {
    APPROVAL_TYPE: frozenset({"deliver_webhook", "await_request"}),
    FIRING_TYPE: frozenset({"is_run_over"}),
}
"""Activities that neither decide nor start anything."""


@dataclass(frozen=True, slots=True)
class TemporalRun:
    """An open workflow. `activities` are the types of its pending ones.

    `is_woken`: something other than a timer has happened to it that it has not yet processed.
    """

    workflow_id: str
    run_id: str
    root_id: str
    type: str
    activities: frozenset[str] = frozenset()
    is_woken: bool = False

    @property
    def is_busy(self) -> bool:
        """True if it would do something by itself."""
        return self.is_woken or bool(self.activities - _HARMLESS.get(self.type, frozenset()))


@dataclass(frozen=True, slots=True)
class OpenWork:
    """A turn, swarm or execution without an end. `home` is the workflow that works on it.

    `waits`: by the ledger nothing of it is in progress, only approvals are awaited.
    """

    kind: Literal["turn", "swarm", "execution"]
    id: str
    home: str
    waits: bool


@dataclass(frozen=True, slots=True)
class OpenApproval:
    """An approval that is undecided, or whose own workflow is open; and the workflow that waits for it."""

    id: str
    waiter: str
    is_decided: bool = False


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """The decision: workflows to terminate, work to fail, approvals to withdraw, and work that waits on."""

    terminate: tuple[TemporalRun, ...] = ()
    fail: tuple[OpenWork, ...] = ()
    withdraw: tuple[OpenApproval, ...] = ()
    waiting: tuple[OpenWork, ...] = ()


def plan_recovery(
    runs: Sequence[TemporalRun], work: Sequence[OpenWork], approvals: Sequence[OpenApproval], *, same_moment: bool
) -> RecoveryPlan:
    """Decide for every open workflow, open work and open approval.

    Workflows stand and fall with the tree that they are in. If the stores are not of the same moment, none goes on.
    """
    roots = {run.workflow_id: run.root_id for run in runs}
    of_root: dict[str, list[OpenWork]] = {}
    for each in work:
        of_root.setdefault(roots.get(each.home, each.home), []).append(each)
    answered = {roots.get(waiter, waiter) for waiter in _answered_waiters(runs, approvals)}
    kept = {
        root
        for root, tree in _trees(runs).items()
        if same_moment and root not in answered and _is_still(tree, of_root.get(root, ()))
    }
    lost_waiters = [
        each for each in approvals if not each.is_decided and roots.get(each.waiter, each.waiter) not in kept
    ]
    withdrawn = {each.id for each in lost_waiters}
    return RecoveryPlan(
        terminate=tuple(run for run in runs if _is_terminated(run, kept, withdrawn, same_moment=same_moment)),
        fail=tuple(each for root, found in of_root.items() if root not in kept for each in found),
        withdraw=tuple(lost_waiters),
        waiting=tuple(each for root, found in of_root.items() if root in kept for each in found),
    )


def _trees(runs: Iterable[TemporalRun]) -> dict[str, list[TemporalRun]]:
    trees: dict[str, list[TemporalRun]] = {}
    for run in runs:
        if run.type in WORK_TYPES:
            trees.setdefault(run.root_id, []).append(run)
    return trees


def _answered_waiters(runs: Iterable[TemporalRun], approvals: Iterable[OpenApproval]) -> set[str]:
    """Return the workflows that would hear of a decision: one is recorded, on its way, or cannot come any more."""
    quiet = {run.workflow_id for run in runs if run.type == APPROVAL_TYPE and not run.is_busy}
    return {each.waiter for each in approvals if each.is_decided or each.id not in quiet}


def _is_still(tree: Iterable[TemporalRun], work: Iterable[OpenWork]) -> bool:
    """Return True if nothing in the tree would do anything before a person does."""
    return not any(run.is_busy for run in tree) and all(each.waits for each in work)


def _is_terminated(run: TemporalRun, kept: set[str], withdrawn: set[str], *, same_moment: bool) -> bool:
    if run.type in WORK_TYPES:
        return run.root_id not in kept
    if run.type == APPROVAL_TYPE:
        return run.workflow_id in withdrawn or not same_moment
    return run.type == FIRING_TYPE and (run.is_busy or not same_moment)
