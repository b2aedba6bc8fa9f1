"""Shared parts of the execution activities."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from activities.graphflow.compensation import Undoing
from activities.graphflow.execution_stream import Journal
from activities.graphflow.expression_data import Values
from activities.graphflow.node_end import Ends
from activities.graphflow.node_start import Begins
from activities.graphflow.outputs import Outputs
from activities.graphflow.plans import Plans
from domain.content import ContentStore
from domain.ledger import Ledger


@dataclass(frozen=True, slots=True)
class GraphParts:
    """Shared per process, so that what one activity has read is cached for the others."""

    ledger: Ledger
    content: ContentStore
    journal: Journal
    plans: Plans
    values: Values
    begins: Begins
    ends: Ends
    outputs: Outputs
    undoing: Undoing


def graph_parts(
    ledger: Ledger, content: ContentStore, now: Callable[[], datetime], *, plans: Plans | None = None
) -> GraphParts:
    """Build the parts with empty caches; `plans` brings definitions that were read before."""
    journal, values = Journal(ledger), Values(content)
    plans = plans or Plans(ledger)
    begins = Begins(journal, plans, values, now)
    return GraphParts(
        ledger=ledger,
        content=content,
        journal=journal,
        plans=plans,
        values=values,
        begins=begins,
        ends=Ends(ledger, journal, begins, values, now),
        outputs=Outputs(ledger, journal, content, values),
        undoing=Undoing(ledger, journal, plans),
    )
