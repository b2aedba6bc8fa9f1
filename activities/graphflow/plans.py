"""The workflow versions that runs pin, read once: they never change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.answer_shape import AnswerShape
from domain.errors import Invalid, NotFound
from domain.graphflow.catalogue.aggregate import Workflow, evolve_all
from domain.graphflow.catalogue.commands import read_workflow
from domain.graphflow.catalogue.events import WorkflowDefined
from domain.graphflow.definition.documents import definition_from
from domain.graphflow.definition.graph import pack
from domain.graphflow.definition.model import Definition, MapNode, Node
from domain.graphflow.definition.node_types import AgentWork
from domain.graphflow.definition.to_graph import graph_of
from domain.graphflow.execution.scheduler import Schedule
from domain.graphflow.expressions.templates import references_in
from domain.graphflow.validation.template_sites import nodes_read_by
from domain.ledger import Ledger
from domain.tenant_ids import DEFAULT

_MOST = 500
_PREFIX = "graphflow/"
_MARK = "~"
"""Parts the tenant from the workflow: ids of workflows do not hold it."""


@dataclass(frozen=True)
class WorkflowPlan:
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
            self._reads[node] = nodes_read_by(self.definition, node)
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


class WorkflowPlans:
    """Reads workflow versions from the ledger, and caches them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[tuple[str, str, int], WorkflowPlan] = {}

    def plan(self, tenant_id: str, workflow_id: str, version: int) -> WorkflowPlan:
        """A version of a workflow that a tenant sees.

        Raises:
            NotFound: there is none.
            Invalid: an edge leads nowhere.
        """
        known = self._known.get((tenant_id, workflow_id, version))
        if known is not None:
            return known
        defined = next((event for event in self._versions(tenant_id, workflow_id) if event.version == version), None)
        if defined is None:
            raise NotFound(f"there is no version {version} of {workflow_id}")
        definition = definition_from(defined.definition)
        try:
            graph = graph_of(definition)
        except KeyError as error:
            raise Invalid(f"an edge of {workflow_id} leads to {error}, and there is no such node") from None
        plan = WorkflowPlan(workflow_id, version, definition, Schedule(graph), pack(graph), definition.by_id())
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[tenant_id, workflow_id, version] = plan
        return plan

    def newest(self, tenant_id: str, workflow_id: str) -> int | None:
        """The newest version of a workflow that a tenant sees."""
        return max((event.version for event in self._versions(tenant_id, workflow_id)), default=None)

    def start_problem(self, tenant_id: str, workflow_id: str) -> str | None:
        """Return the reason no new run of a workflow can start; None if one can."""
        workflow = evolve_all(Workflow(), read_workflow(self._ledger, tenant_id, workflow_id))
        if not workflow.versions:
            return f"there is no workflow {workflow_id}"
        return f"the workflow {workflow_id} is retired" if workflow.retired else None

    def shape(self, name: str) -> AnswerShape | None:
        """Return the shape of an agent node's answer, by the name that `shape_name` made; None for other names.

        Raises:
            NotFound: there is no such version.
        """
        if not name.startswith(_PREFIX):
            return None
        tenant_id, workflow_id, version, node, part = _shape_place(name)
        work = self.plan(tenant_id, workflow_id, version).work(node, item=part == "item", undo=part == "undo")
        if not isinstance(work, AgentWork) or work.output is None:
            raise NotFound(f"{node} of {workflow_id} declares no output")
        schema = work.output
        return AnswerShape(f"{node}_output", lambda _: schema)

    def _versions(self, tenant_id: str, workflow_id: str) -> list[WorkflowDefined]:
        known = read_workflow(self._ledger, tenant_id, workflow_id)
        return [event for event in known if isinstance(event, WorkflowDefined)]


def shape_name(tenant_id: str, workflow_id: str, version: int, node: str, *, item: bool, undo: bool) -> str:
    """Return the name of an answer's shape."""
    prefix = _PREFIX if tenant_id == DEFAULT else f"{_PREFIX}{tenant_id}{_MARK}"
    return f"{prefix}{workflow_id}/{version}/{node}/{'undo' if undo else 'item' if item else 'node'}"


def _shape_place(name: str) -> tuple[str, str, int, str, str]:
    """Tenant, workflow, version, node and part, as `shape_name` has them."""
    of_workflow, version, node, part = name.removeprefix(_PREFIX).rsplit("/", 3)
    tenant_id, _, workflow_id = of_workflow.rpartition(_MARK)
    return tenant_id or DEFAULT, workflow_id, int(version), node, part
