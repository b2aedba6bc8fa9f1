"""The worst case of a run: every iteration, attempt, item and turn that the definition allows."""

from decimal import Decimal

from domain.graphflow.definition.model import Definition, MapNode, Node
from domain.graphflow.definition.node_types import AgentWork, SwarmWork, WorkflowWork
from domain.graphflow.definition.to_graph import graph_of
from domain.graphflow.validation.context import ValidationContext
from domain.graphflow.validation.problems import WorstCase


def worst_case(definition: Definition, known: ValidationContext) -> WorstCase:
    """Return the most model calls and their highest cost.

    Raises:
        KeyError: a name is not known.
    """
    calls, cost = 0, Decimal(0)
    for node, spec in zip(definition.nodes, graph_of(definition).nodes, strict=True):
        each = _of_node(node, known)
        undo = _of_work(node.compensate, known)
        calls += spec.max_visits * (spec.attempts * each.model_calls + undo.model_calls)
        cost += spec.max_visits * (spec.attempts * each.cost_usd + undo.cost_usd)
    return WorstCase(calls, cost)


def _of_node(node: Node, known: ValidationContext) -> WorstCase:
    if not isinstance(node, MapNode):
        return _of_work(node, known)
    each = _of_work(node.node, known)
    return WorstCase(node.max_items * each.model_calls, node.max_items * each.cost_usd)


def _of_work(work: object, known: ValidationContext) -> WorstCase:
    match work:
        case AgentWork():
            return WorstCase(known.calls_per_turn, known.calls_per_turn * known.agents[work.agent])
        case SwarmWork():
            calls = known.modes[work.mode](len(work.agents), work.rounds) * known.calls_per_turn
            # an unnamed coordinator is not known here: assume the most expensive agent
            dearest = max(known.agents[each] for each in (*work.agents, work.coordinator or _most_expensive(known)))
            return WorstCase(calls, calls * dearest)
        case WorkflowWork():
            found = known.workflows[work.workflow, work.version]
            return WorstCase(found.model_calls, found.cost_usd)
    return WorstCase(0, Decimal(0))


def _most_expensive(known: ValidationContext) -> str:
    return max(known.agents, key=lambda name: known.agents[name])
