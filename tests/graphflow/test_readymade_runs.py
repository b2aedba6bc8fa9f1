"""The workflows that ship, run to their ends on made-up outputs: every template and condition is evaluated."""

import random
from pathlib import Path
from typing import Any

import pytest

from domain.graphflow.definition.model import Definition, MapNode, Node
from domain.graphflow.definition.node_types import AgentWork, ApprovalWork, SwarmWork, TransformWork
from domain.graphflow.definition.to_graph import graph_of
from domain.graphflow.execution.schedule_state import NodeIteration, RunOutcome
from domain.graphflow.execution.scheduler import Schedule
from domain.graphflow.expressions.cel import evaluate, is_true
from domain.graphflow.expressions.templates import fill, render
from domain.graphflow.validation.template_sites import TemplateSite, sites, sites_of
from tests.graphflow.test_readymade import FILES, read


class Rehearsal:
    """One run in memory. What agents and people answer is by chance, and follows the schema that is asked for."""

    def __init__(self, definition: Definition, seed: int) -> None:
        self._definition, self._chance = definition, random.Random(seed)  # noqa: S311  (no secret)
        self._schedule = Schedule(graph_of(definition))
        self.nodes: dict[str, dict[str, Any]] = {node.id: {"status": "pending"} for node in definition.nodes}
        self.texts: list[str] = []

    def run(self) -> RunOutcome:
        step = self._schedule.start()
        while not step.over:
            running = self._schedule.running_nodes(step.state)
            visit = self._chance.choice(running)
            taken = self._end(visit)
            step = self._schedule.finish(step.state, visit, taken)
        return step.over

    def result(self) -> Any:
        return fill(self._definition.output, self._data(1))

    def _data(self, visit: int, **item: Any) -> dict[str, Any]:
        return {"input": {"request": "Sell tea"}, "nodes": self.nodes, "context": {}, "visit": visit, **item}

    def _end(self, visit: NodeIteration) -> tuple[int, ...]:
        node = self._definition.node(visit.node)
        self.nodes[node.id] = {"status": "completed", "output": self._output(node, visit.visit), "visit": visit.visit}
        holding = {
            at
            for at, edge in enumerate(self._definition.edges)
            if edge.source == node.id and edge.when and is_true(edge.when, self._data(visit.visit))
        }
        return self._schedule.edges_to_take(node.id, holding)

    def _output(self, node: Node, visit: int) -> Any:
        if not isinstance(node, MapNode):
            return self._done(node, self._data(visit), [site for site in sites_of(node) if not site.item])
        items = evaluate(node.over, self._data(visit))
        assert len(items) <= node.max_items
        inner = [site for site in sites_of(node) if site.item]
        return [self._done(node.node, self._data(visit, **{node.item: item}), inner) for item in items]

    def _done(self, work: Any, data: dict[str, Any], found: list[TemplateSite]) -> Any:
        self.texts += [render(site.value, data) for site in found if site.form == "template"]
        match work:
            case AgentWork(output=None) | SwarmWork():
                return "A considered answer."
            case AgentWork(output=schema):
                return self._made_up(schema)
            case ApprovalWork():
                approved = self._chance.random() < 0.5
                status = "approved" if approved else "rejected"
                return {"approved": approved, "status": status, "content": "As it is.", "comment": "Shorter."}
            case TransformWork():
                return {key: evaluate(expression, data) for key, expression in work.set.items()}
        raise AssertionError(work)

    def _made_up(self, schema: Any) -> Any:
        if "enum" in schema:
            return self._chance.choice(schema["enum"])
        match schema["type"]:
            case "object":
                return {name: self._made_up(inner) for name, inner in schema["properties"].items()}
            case "array":
                many = self._chance.randint(schema.get("minItems", 0), schema["maxItems"])
                return [self._made_up(schema["items"]) for _ in range(many)]
            case "boolean":
                return self._chance.random() < 0.5
            case "integer":
                return self._chance.randint(0, 100)
        return "words"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_way_through_it_can_be_evaluated(path: Path) -> None:
    definition = read(path)
    reached: set[str] = set()
    for seed in range(60):
        rehearsal = Rehearsal(definition, seed)
        over = rehearsal.run()
        assert over.status == "completed", over
        assert rehearsal.result()
        reached |= {node for node, seen in rehearsal.nodes.items() if "output" in seen}
        assert not any("{{" in text for text in rehearsal.texts)
    assert reached == {node.id for node in definition.nodes}


def test_each_place_that_holds_an_expression_is_known() -> None:
    for path in FILES:
        definition = read(path)
        found = {text for site in sites(definition) for text in site.expressions()}
        assert path.read_text().count("{{") <= sum(len(site.expressions()) for site in sites(definition))
        assert found
