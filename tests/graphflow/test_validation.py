"""What is proven of a definition before it runs."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.graphflow.definition.documents import definition_from, parse_definition
from domain.graphflow.definition.model import Definition
from domain.graphflow.validation.context import KnownWorkflow, ValidationContext, names_in
from domain.graphflow.validation.problems import WorstCase
from domain.graphflow.validation.validate import validate

TOOL = {
    "type": "object",
    "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
    "required": ["query"],
    "additionalProperties": False,
}
CHILD = KnownWorkflow(
    input={
        "type": "object",
        "properties": {"request": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["request"],
    },
    model_calls=7,
    cost_usd=Decimal("0.7"),
    output={"type": "object", "properties": {"score": {"type": "integer"}}},
)
KNOWN = ValidationContext(
    agents={"ann": Decimal("0.01"), "bob": Decimal("0.02")},
    tools={"look": TOOL, "ask": TOOL},
    modes={"debate": lambda members, rounds: members * (rounds or 2) + 1},
    workflows={
        ("child", None): CHILD,
        ("child", 2): CHILD,
        ("mother", None): KnownWorkflow({"type": "object"}, includes=frozenset({"self"})),
    },
    calls_per_turn=4,
    itself="self",
    for_agents=frozenset({"ask"}),
)

A = "{id: a, type: agent, agent: ann, prompt: 'do {{ input.request }}'}"
B = "{id: b, type: agent, agent: bob, prompt: 'go on with {{ nodes.a.output }}'}"
T = "{id: t, type: transform, set: {x: '1'}}"


def definition(nodes: str, edges: str = "", more: str = "") -> Definition:
    return parse_definition(f"name: x\nnodes: [{nodes}]\nedges: [{edges}]\n{more}")


def graded(name: str) -> str:
    tags = "{type: array, items: {type: string}}"
    properties = f"{{ok: {{type: boolean}}, score: {{type: integer}}, tags: {tags}}}"
    return f"{{id: {name}, type: agent, agent: ann, prompt: p, output: {{type: object, properties: {properties}}}}}"


BROKEN: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "broken.yaml").read_text())


@pytest.mark.parametrize("case", BROKEN, ids=[f"{case['code']} {at}" for at, case in enumerate(BROKEN)])
def test_what_is_broken_is_told_with_its_place_and_a_way_out(case: dict[str, Any]) -> None:
    document = {name: value for name, value in case.items() if name not in {"code", "where"}}
    found = validate(definition_from({"name": "broken", **document}), KNOWN)
    assert not found.valid
    assert (case["code"], case["where"]) in {(error.code, error.where) for error in found.errors}
    for error in found.errors:
        assert error.message
        assert error.fix
        assert not error.fix.endswith(".")


def test_more_than_twenty_kinds_of_fault_are_told_apart() -> None:
    assert len({case["code"] for case in BROKEN}) >= 20


def test_a_near_name_is_proposed() -> None:
    (error,) = validate(definition("{id: a, type: agent, agent: anne, prompt: p}"), KNOWN).errors
    assert str(error) == "node a, agent: there is no agent anne. Did you mean ann."


WARNED: list[tuple[str, str, str, str]] = [
    ("no_otherwise", "node a", f"{A}, {B}", "{from: a, to: b, when: 'visit > 0'}"),
    ("otherwise_alone", "edge a -> b", f"{A}, {B}", "{from: a, to: b, otherwise: true}"),
    ("may_be_skipped", "node t", f"{A}, {B}, {{id: t, type: transform, set: {{x: nodes.b.output}}}}",
     "{from: a, to: b, when: 'visit > 0'}, {from: a, to: t}, {from: b, to: t}"),
    ("may_have_failed", "node b", f"{A.replace('id: a', 'id: a, on_error: continue')}, {B}", "{from: a, to: b}"),
    ("optional_input", "node a", "{id: a, type: agent, agent: ann, prompt: '{{ input.tone }}'}", ""),
]  # fmt: skip


@pytest.mark.parametrize(("code", "where", "nodes", "edges"), WARNED)
def test_what_is_doubtful_is_a_warning(code: str, where: str, nodes: str, edges: str) -> None:
    more = "input: {type: object, properties: {request: {type: string}, tone: {type: string}}, required: [request]}"
    found = validate(definition(nodes, edges, more), KNOWN)
    assert found.valid, found.errors
    assert (code, where) in {(each.code, each.where) for each in found.warnings}


def warned(nodes: str, edges: str) -> set[str]:
    found = validate(definition(nodes, edges), KNOWN)
    assert found.valid, found.errors
    return {each.code for each in found.warnings}


def test_who_asks_first_is_not_warned() -> None:
    nodes = f"{A}, {B}, {{id: t, type: transform, set: {{x: 'has(nodes.b.output) ? nodes.b.output : nodes.a.output'}}}}"
    edges = (
        "{from: a, to: b, when: 'visit > 0'}, {from: a, to: t, otherwise: true}, "
        "{from: b, to: t, when: 'true'}, {from: b, to: t, otherwise: true}"
    )
    assert warned(nodes, edges) == set()


def test_what_surely_has_run_is_read_without_a_guard() -> None:
    both = "{id: d, type: transform, set: {x: nodes.b.output + nodes.c.output + nodes.a.output}}"
    nodes = f"{A}, {B}, {B.replace('id: b', 'id: c')}, {both}"
    assert warned(nodes, "{from: a, to: b}, {from: a, to: c}, {from: b, to: d}, {from: c, to: d}") == set()


def test_a_join_that_does_not_wait_makes_what_it_reads_doubtful() -> None:
    both = "{id: d, type: transform, join: any, set: {x: nodes.b.output + nodes.a.output}}"
    nodes = f"{A}, {B}, {B.replace('id: b', 'id: c')}, {both}"
    assert warned(nodes, "{from: a, to: b}, {from: a, to: c}, {from: b, to: d}, {from: c, to: d}") == {"may_be_skipped"}


def test_in_a_cycle_the_round_before_may_be_read_with_a_guard() -> None:
    draft = (
        "{id: draft, type: agent, agent: ann, max_visits: 3, "
        'prompt: "{{ has(nodes.check.output) ? nodes.check.output.ok : false }}"}'
    )
    edges = (
        "{from: draft, to: check}, {from: check, to: draft, when: '!nodes.check.output.ok && visit < 3'}, "
        "{from: check, to: t, otherwise: true}"
    )
    assert warned(f"{draft}, {graded('check')}, {T}", edges) == set()


def test_items_of_a_map_have_the_type_of_the_list() -> None:
    inner = "{type: agent, agent: ann, prompt: '{{ tag + 1 }}'}"
    nodes = f"{graded('a')}, {{id: m, type: map, over: nodes.a.output.tags, item: tag, node: {inner}}}"
    (error,) = validate(definition(nodes, "{from: a, to: m}"), KNOWN).errors
    assert error.field == "node.prompt"
    assert "(string, int)" in error.message
    assert validate(definition(nodes.replace("tag + 1", "tag"), "{from: a, to: m}"), KNOWN).valid


def test_the_outputs_of_transforms_and_workflows_have_types_too() -> None:
    nodes = (
        "{id: a, type: workflow, workflow: child, input: {request: '{{ input.request }}', n: '{{ 2 }}'}}, "
        "{id: t, type: transform, set: {twice: nodes.a.output.score * 2}}, {id: e, type: transform, set: {x: '1'}}"
    )
    good = validate(definition(nodes, "{from: a, to: t}, {from: t, to: e, when: nodes.t.output.twice > 3}"), KNOWN)
    assert good.valid, good.errors
    bad = validate(definition(nodes, "{from: a, to: t}, {from: t, to: e, when: nodes.t.output.twice > 'x'}"), KNOWN)
    assert [error.code for error in bad.errors] == ["bad_expression"]


WORST: list[tuple[str, str, str, int, str]] = [
    ("an agent takes a turn", A, "", 4, "0.04"),
    ("retries count", A.replace("id: a", "id: a, retry: {attempts: 3}"), "", 12, "0.12"),
    ("each item of a map", "{id: m, type: map, over: '[1]', max_items: 10, node: {type: agent, agent: bob, prompt: p}}",
     "", 40, "0.8"),
    ("each turn of a swarm", "{id: s, type: swarm, agents: [ann, bob], mode: debate, task: t, coordinator: ann}",
     "", 20, "0.4"),
    ("what a workflow takes", "{id: w, type: workflow, workflow: child, input: {request: r}}", "", 7, "0.7"),
    ("what undoes it", T.replace("set", "compensate: {type: agent, agent: bob, prompt: p}, set"), "", 4, "0.08"),
    ("each round of a cycle", A.replace("id: a", "id: a, max_visits: 5") + ", " + B + ", " + T,
     "{from: a, to: b}, {from: b, to: a, when: 'visit < 5'}, {from: b, to: t, otherwise: true}", 40, "0.6"),
    ("nothing", T, "", 0, "0"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "edges", "calls", "cost"), [each[1:] for each in WORST], ids=[w[0] for w in WORST])
def test_the_worst_case_counts(nodes: str, edges: str, calls: int, cost: str) -> None:
    found = validate(definition(nodes, edges), KNOWN)
    assert found.errors == ()
    assert found.worst_case == WorstCase(calls, Decimal(cost))


def test_the_names_to_look_up_are_those_in_use() -> None:
    nodes = (
        f"{A}, {{id: s, type: swarm, agents: [ann, bob], mode: debate, task: t, coordinator: cid}}, "
        "{id: m, type: map, over: '[1]', node: {type: tool, tool: look}, "
        "compensate: {type: agent, agent: dan, prompt: p}}, {id: w, type: workflow, workflow: child, version: 2}"
    )
    named = names_in(definition(nodes))
    assert named.agents == {"ann", "bob", "cid", "dan"}
    assert named.tools == {"look"}
    assert named.modes == {"debate"}
    assert named.workflows == {("child", 2)}


def test_the_largest_definition_is_validated_in_time() -> None:
    nodes: list[dict[str, Any]] = [
        {"id": f"n{at}", "type": "transform", "set": {"x": f"nodes.n{at - 1}.output.x" if at else "input.request"}}
        for at in range(500)
    ]
    edges = [{"from": f"n{at}", "to": f"n{at + step}"} for at in range(500) for step in (1, 2, 3, 4) if at + step < 500]
    whole = Definition.model_validate({"name": "x", "nodes": nodes, "edges": edges})
    assert validate(whole, KNOWN).valid
