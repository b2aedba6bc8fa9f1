"""The report of a reconciliation: each thing that was settled, by its name."""

from dataclasses import dataclass
from typing import Literal

ItemKind = Literal[
    "approval", "call", "erasure", "execution", "firing", "run", "runbook", "schedule", "session", "swarm", "turn"
]
Outcome = Literal["failed", "refused", "restarted", "settled", "terminated", "unknown", "waits", "withdrawn"]


@dataclass(frozen=True, slots=True)
class SettledItem:
    """One thing that was settled. `run` is a workflow of Temporal, by its id.

    Outcomes: `failed`, a turn, swarm or execution that is recorded as failed; `terminated`, a workflow that does not go
    on; `unknown`, a model call whose cost is not known; `withdrawn`, an approval without a waiter; `refused`, a firing
    whose work did not start; `settled`, a schedule carried over to Temporal; `restarted`, an erasure. `waits` is no
    change: it waits for people, and goes on when they decide.
    """

    kind: ItemKind
    id: str
    outcome: Outcome
    reason: str = ""
