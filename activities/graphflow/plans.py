"""The workflow versions that runs pin, read once: they never change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.answer_shape import Shape
from domain.errors import Invalid, NotFound
from domain.graphflow.catalogue.aggregate import Workflow, evolved, stream
from domain.graphflow.catalogue.events import WorkflowDefined
from domain.graphflow.definition.documents import of_document
from domain.graphflow.definition.graph import packed
from domain.graphflow.definition.model import Definition, MapNode, Node
from domain.graphflow.definition.node_types import AgentWork
from domain.graphflow.definition.to_graph import graph_of
from domain.graphflow.execution.scheduler import Schedule
from domain.graphflow.expressions.templates import references_in
from domain.graphflow.validation.template_sites import reads
from domain.ledger import Ledger

_MOST = 500
_PREFIX = "graphflow/"


@dataclass(frozen=True)
class Plan:
    """A version of a workflow, ready to be run."""

    workflow_id: str
    version: int
    definition: Definition
    schedule: Schedule
    packed: str
    nodes: Mapping[str, Node]
    _reads: dict[str, frozenset[str]] = field(default_factory=dict)

    def reads(self, node: str) -> frozenset[str]:
        """Return the nodes that the expressions of a node read."""
        if node not in self._reads:
            self._reads[node] = reads(self.definition, node)
        return self._reads[node]

    def output_reads(self) -> frozenset[str]:
        """Return the nodes that the workflow's output reads."""
        paths = [reference.path for reference in references_in(self.definition.output) if reference.path[0] == "nodes"]
        if any(len(path) == 1 for path in paths):
            return frozenset(self.nodes)
        return frozenset(path[1] for path in paths)

    def work(self, node: str, *, item: bool, undo: bool) -> Any:
        """Return the work of a node, of an item of its list, or of its compensation."""
        found = self.nodes[node]
        if undo:
            return found.compensate
        return found.node if item and isinstance(found, MapNode) else found

    def conditions(self, node: str) -> dict[int, str]:
        """Return the conditions of the edges that leave a node, by edge index."""
        return {at: e.when for at, e in enumerate(self.definition.edges) if e.source == node and e.when is not None}


class Plans:
    """Reads workflow versions from the ledger, and caches them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[tuple[str, int], Plan] = {}

    def plan(self, workflow_id: str, version: int) -> Plan:
        """Return a version of a workflow.

        Raises:
            NotFound: there is none.
            Invalid: an edge leads nowhere.
        """
        known = self._known.get((workflow_id, version))
        if known is not None:
            return known
        defined = next((event for event in self._defined(workflow_id) if event.version == version), None)
        if defined is None:
            raise NotFound(f"there is no version {version} of {workflow_id}")
        definition = of_document(defined.definition)
        try:
            graph = graph_of(definition)
        except KeyError as error:
            raise Invalid(f"an edge of {workflow_id} leads to {error}, and there is no such node") from None
        plan = Plan(workflow_id, version, definition, Schedule(graph), packed(graph), definition.by_id())
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[workflow_id, version] = plan
        return plan

    def newest(self, workflow_id: str) -> int | None:
        """Return the newest version of a workflow; None if there is none."""
        return max((event.version for event in self._defined(workflow_id)), default=None)

    def why_not(self, workflow_id: str) -> str | None:
        """Return the reason no new run of a workflow can start; None if one can."""
        workflow = evolved(Workflow(), self._ledger.read(stream(workflow_id)))
        if not workflow.versions:
            return f"there is no workflow {workflow_id}"
        return f"the workflow {workflow_id} is retired" if workflow.retired else None

    def shape(self, name: str) -> Shape | None:
        """Return the shape of an agent node's answer, by the name that `shape_name` made; None for other names.

        Raises:
            NotFound: there is no such version.
        """
        if not name.startswith(_PREFIX):
            return None
        workflow_id, version, node, part = name.removeprefix(_PREFIX).rsplit("/", 3)
        work = self.plan(workflow_id, int(version)).work(node, item=part == "item", undo=part == "undo")
        if not isinstance(work, AgentWork) or work.output is None:
            raise NotFound(f"{node} of {workflow_id} declares no output")
        schema = work.output
        return Shape(f"{node}_output", lambda _: schema)

    def _defined(self, workflow_id: str) -> list[WorkflowDefined]:
        return [e for e in self._ledger.read(stream(workflow_id)) if isinstance(e, WorkflowDefined)]


def shape_name(workflow_id: str, version: int, node: str, *, item: bool, undo: bool) -> str:
    """Return the name of an answer's shape."""
    return f"{_PREFIX}{workflow_id}/{version}/{node}/{'undo' if undo else 'item' if item else 'node'}"
