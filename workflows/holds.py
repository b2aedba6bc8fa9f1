"""Waiting for people: what any run does to have something decided."""

from dataclasses import dataclass, field

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals import ApprovalAsk, Decided


@dataclass
class Holds:
    """The decisions that one run waits for. Its workflow hands the signal `approval_decided` to `decided`."""

    waiting: set[str] = field(default_factory=set)
    known: dict[str, Decided] = field(default_factory=dict)

    def decided(self, decision: Decided) -> None:
        """A decision has come; the first one of an approval stands."""
        self.known.setdefault(decision.approval_id, decision)

    async def ask(self, ask: ApprovalAsk) -> Decided:
        """Ask for a decision and wait for it, however long that takes: the approval's own rules bound it."""
        raise NotImplementedError

    async def withdraw(self, reason: str) -> None:
        """Nobody waits any more: take back what is still open."""
        raise NotImplementedError
