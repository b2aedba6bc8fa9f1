"""Rehearsals: every one ends, and tells where a definition can lead."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain.graphflow.definition.documents import definition_from, parse_definition
from domain.graphflow.definition.model import Definition
from domain.graphflow.generation.rehearsal import MOST_STEPS, Rehearsal, rehearse
from domain.graphflow.generation.sample_data import instance
from tests.graphflow.test_generation import READY_MADE

OUTPUT = {"type": "object", "properties": {"good": {"type": "boolean"}, "n": {"type": "integer"}}, "required": ["good"]}
DRAFT = {"id": "draft", "type": "agent", "agent": "ann", "prompt": "p", "output": OUTPUT, "max_visits": 3}


def rehearsed(*nodes: dict[str, Any], edges: list[dict[str, Any]] | None = None, **more: Any) -> Rehearsal:
    return rehearse(definition_from({"name": "W", "nodes": list(nodes), "edges": edges or [], **more}))


def a_text(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "transform", "set": {"x": f"'{name}'"}, **more}


def test_both_ways_of_a_condition_are_walked() -> None:
    edges = [
        {"from": "draft", "to": "done", "when": "nodes.draft.output.good"},
        {"from": "draft", "to": "sorry", "otherwise": True},
    ]
    found = rehearsed(DRAFT, a_text("done"), a_text("sorry"), edges=edges)
    assert (found.visited, found.skipped, found.ends) == (("draft", "done", "sorry"), (), ("done", "sorry"))
    assert [walk.turned for walk in found.walks] == [None, "edge draft -> done: not taken"]
    assert [(walk.status, walk.skipped) for walk in found.walks] == [
        ("completed", ("sorry",)),
        ("completed", ("done",)),
    ]
    assert found.complete


def test_what_no_walk_comes_to_is_said() -> None:
    edges = [{"from": "draft", "to": "a"}, {"from": "draft", "to": "b"}]
    mapped = {"id": "never", "type": "map", "over": "[1, 2]", "node": {"type": "transform", "set": {"x": "item"}}}
    both = [{"from": "draft", "to": "never", "when": "false"}, {"from": "a", "to": "never", "when": "false"}]
    found = rehearsed(DRAFT, a_text("a"), a_text("b"), {**mapped, "join": 2}, edges=[*edges, *both])
    assert found.skipped == ("never",)


def test_a_loop_is_gone_round_once_more_and_left() -> None:
    edges = [
        {"from": "draft", "to": "draft", "when": "!nodes.draft.output.good && visit < 3"},
        {"from": "draft", "to": "done", "otherwise": True},
    ]
    found = rehearsed(DRAFT, a_text("done"), edges=edges)
    assert [walk.status for walk in found.walks] == ["completed", "completed"]


def test_a_loop_that_made_up_values_cannot_leave_is_seen_to_fail() -> None:
    edges = [
        {"from": "draft", "to": "draft", "when": "nodes.draft.output.good"},
        {"from": "draft", "to": "done", "otherwise": True},
    ]
    first, left = rehearsed(DRAFT, a_text("done"), edges=edges).walks
    assert (first.status, first.reason) == ("failed", "draft would run once more than its max_visits of 3")
    assert (left.status, left.ends) == ("completed", ("done",))


def test_an_expression_that_fails_is_named_with_its_place() -> None:
    bad = {"id": "bad", "type": "transform", "set": {"x": "nodes.find.output.rows[0]"}}
    find = {"id": "find", "type": "tool", "tool": "query_costs", "arguments": {"q": "{{ input.nothing }}"}}
    found = rehearsed(find, bad, edges=[{"from": "find", "to": "bad"}])
    assert {(each.where, each.field) for each in found.problems} == {("node find", "arguments"), ("node bad", "set.x")}
    assert found.walks[0].status == "completed"


def test_every_type_of_node_puts_something_out() -> None:
    nodes: list[dict[str, Any]] = [
        {"id": "a", "type": "agent", "agent": "ann", "prompt": "{{ input.request }}"},
        {"id": "s", "type": "swarm", "agents": ["ann", "bob"], "mode": "vote", "task": "{{ nodes.a.output }}"},
        {"id": "t", "type": "tool", "tool": "find", "arguments": {"q": "{{ nodes.s.output }}"}},
        {"id": "p", "type": "approval", "title": "Go?", "content": "{{ nodes.t.output }}"},
        {"id": "w", "type": "wait", "event": "paid"},
        {"id": "u", "type": "wait", "until": "{{ '2030-01-01T00:00:00Z' }}"},
        {"id": "f", "type": "workflow", "workflow": "workflow_x", "input": {"request": "{{ nodes.p.output.content }}"}},
        {
            "id": "m",
            "type": "map",
            "over": "[nodes.f.output, 'x']",
            "node": {"type": "agent", "agent": "ann", "prompt": "{{ item }}"},
        },
        {
            "id": "x",
            "type": "transform",
            "set": {"all": "nodes.m.output", "ok": "nodes.p.output.approved && !nodes.w.output.timed_out"},
        },
    ]
    ids = [node["id"] for node in nodes]
    edges = [{"from": one, "to": two} for one, two in pairwise(ids)]
    found = rehearsed(*nodes, edges=edges, output={"all": "{{ nodes.x.output.all }}"})
    assert (found.problems, found.visited, found.ends) == ((), tuple(ids), ("x",))


@pytest.mark.parametrize("file", READY_MADE, ids=lambda file: file.stem)
def test_what_ships_with_the_platform_is_rehearsed_whole(file: Any) -> None:
    found = rehearse(parse_definition(file.read_text()))
    assert (found.problems, found.skipped, found.complete) == ((), (), True)
    assert all(walk.status == "completed" for walk in found.walks)


_CONDITIONS = (None, "true", "false", "visit < 2", "nodes.n0.output.x > 1", "nodes.n0.output.missing", "1 / 0 > 1")


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """Any drawing, whether it could run or not."""
    many = draw(st.integers(1, 7))
    nodes = [
        {
            "id": f"n{at}",
            "type": "transform",
            "set": {"x": draw(st.sampled_from(["1", "visit", "nodes.n0.output.x + 1", "[1, 2].map(y, y * visit)"]))},
            "join": draw(st.sampled_from(["all", "any", 1, 2])),
            "max_visits": draw(st.sampled_from([1, 5, 1_000])),
            "on_error": draw(st.sampled_from(["fail", "continue", {"goto": f"n{draw(st.integers(0, many - 1))}"}])),
        }
        for at in range(many)
    ]
    ends = st.integers(0, many - 1)
    edges = [
        {"from": f"n{draw(ends)}", "to": f"n{draw(ends)}", "when": draw(st.sampled_from(_CONDITIONS))}
        for _ in range(draw(st.integers(0, 12)))
    ]
    return definition_from({"name": "W", "nodes": nodes, "edges": edges})


@settings(max_examples=60, deadline=None)
@given(definitions())
def test_every_rehearsal_ends_and_accounts_for_every_node(definition: Definition) -> None:
    found = rehearse(definition)
    names = [node.id for node in definition.nodes]
    assert sorted([*found.visited, *found.skipped]) == sorted(names)
    assert found.walks[0].turned is None
    assert sum(len(walk.visited) for walk in found.walks) <= MOST_STEPS
    for walk in found.walks:
        assert sorted([*walk.visited, *walk.skipped]) == sorted(names)
        assert set(walk.ends) <= set(walk.visited)
    assert rehearse(definition) == found, "the same definition shows the same"


def test_a_great_many_conditions_are_cut_and_it_is_said() -> None:
    nodes = [a_text(f"n{at}") for at in range(60)]
    edges = [{"from": f"n{at}", "to": f"n{at + 1}", "when": "visit == 1"} for at in range(59)]
    found = rehearsed(*nodes, edges=edges)
    assert not found.complete
    assert found.skipped == ()


def test_a_loop_of_a_thousand_rounds_is_walked() -> None:
    nodes = [a_text("a", max_visits=1_000), a_text("b", max_visits=1_000), a_text("c")]
    edges = [
        {"from": "a", "to": "b"},
        {"from": "b", "to": "a", "when": "visit < 1000"},
        {"from": "b", "to": "c", "otherwise": True},
    ]
    found = rehearsed(*nodes, edges=edges)
    assert (found.walks[0].status, found.walks[0].ends) == ("completed", ("c",))
    assert found.ends == ("c",)


def test_more_than_it_may_take_is_cut_and_it_is_said() -> None:
    many = {f"x{at}": "visit" for at in range(50)}
    nodes = [{"id": "a", "type": "transform", "set": many, "max_visits": 1_000}, a_text("c")]
    edges = [{"from": "a", "to": "a", "when": "visit < 1000"}, {"from": "a", "to": "c", "otherwise": True}]
    found = rehearsed(*nodes, edges=edges)
    assert ([walk.status for walk in found.walks], found.complete) == (["cut"], False)


def test_what_is_late_is_cut_and_it_is_said() -> None:
    asked: list[None] = []

    def is_late() -> bool:
        asked.append(None)
        return len(asked) > 5

    nodes = [a_text(f"n{at}") for at in range(9)]
    edges = [{"from": f"n{at}", "to": f"n{at + 1}"} for at in range(8)]
    found = rehearse(definition_from({"name": "W", "nodes": nodes, "edges": edges}), is_late=is_late)
    assert ([walk.status for walk in found.walks], found.complete) == (["cut"], False)


SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "string", "minLength": 30}}, "required": ["a"]},
    {"type": "array", "items": {"type": "integer", "minimum": 7}, "minItems": 2},
    {"enum": ["x", "y"]},
    {"const": None},
    {"type": ["null", "string"]},
    {"anyOf": [{"type": "number", "exclusiveMinimum": 3}, {"type": "string"}]},
    {"$ref": "#/$defs/one", "$defs": {"one": {"type": "string", "maxLength": 3}}},
    {"type": "object", "properties": {"deep": {"type": "object", "properties": {"yes": {"type": "boolean"}}}}},
    {"type": "integer", "maximum": -5},
    {},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_what_is_made_up_follows_its_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator(schema).validate(instance(schema, "it"))


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}])
def test_a_schema_that_goes_round_in_circles_ends(schema: dict[str, Any]) -> None:
    assert instance(schema, "it") is None


def test_a_schema_that_unfolds_without_end_is_cut() -> None:
    branch = {f"p{at}": {"$ref": "#/$defs/a"} for at in range(10)}
    schema = {"$defs": {"a": {"type": "object", "properties": branch}}, "$ref": "#/$defs/a"}
    assert len(json.dumps(instance(schema, "it"))) < 3_000_000
