"""Shared parts of the execution activities."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from activities.graphflow.compensation import Compensations
from activities.graphflow.execution_stream import RunStreams
from activities.graphflow.expression_data import Values
from activities.graphflow.node_end import AttemptEndDecider
from activities.graphflow.node_start import AttemptStartDecider
from activities.graphflow.outputs import NodeOutputs
from activities.graphflow.plans import WorkflowPlans
from domain.content import ContentStore
from domain.ledger import Ledger
from domain.signatures.ports import NO_SIGNER, Signer


@dataclass(frozen=True, slots=True)
class GraphParts:
    """Shared per process, so that what one activity has read is cached for the others."""

    ledger: Ledger
    content: ContentStore
    journal: RunStreams
    plans: WorkflowPlans
    values: Values
    begins: AttemptStartDecider
    ends: AttemptEndDecider
    outputs: NodeOutputs
    undoing: Compensations


def graph_parts(
    ledger: Ledger,
    content: ContentStore,
    now: Callable[[], datetime],
    *,
    plans: WorkflowPlans | None = None,
    signer: Signer = NO_SIGNER,
) -> GraphParts:
    """Build the parts with empty caches; `plans` brings definitions that were read before."""
    journal, values = RunStreams(ledger, signer), Values(content)
    plans = plans or WorkflowPlans(ledger)
    begins = AttemptStartDecider(journal, plans, values, now)
    return GraphParts(
        ledger=ledger,
        content=content,
        journal=journal,
        plans=plans,
        values=values,
        begins=begins,
        ends=AttemptEndDecider(ledger, journal, begins, values, now),
        outputs=NodeOutputs(ledger, journal, content, values),
        undoing=Compensations(ledger, journal, plans),
    )
