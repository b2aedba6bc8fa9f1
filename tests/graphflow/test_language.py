"""Definitions as documents, templates in them, and expressions."""

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain.errors import Invalid, Malformed
from domain.graphflow.definition.documents import canonical, document_of, fingerprint, parse_definition, parse_yaml
from domain.graphflow.definition.model import definition_schema
from domain.graphflow.definition.to_graph import graph_of
from domain.graphflow.expressions.cel import BadExpression, evaluate, is_true, type_of
from domain.graphflow.expressions.templates import Reference, fill, references, render
from domain.graphflow.expressions.tokens import end_of_expression
from domain.graphflow.validation.template_sites import nodes_read_by

DOCUMENT = """
name: Essay
nodes:
  - {id: draft, type: agent, agent: ann, prompt: "Write on {{ input.request }}", max_visits: 3, timeout_s: 60.0}
  - {id: check, type: approval, title: OK?, content: "{{ nodes.draft.output }}"}
  - {id: done, type: transform, set: {text: nodes.draft.output}, join: 1, on_error: {goto: draft}}
edges:
  - {from: draft, to: check}
  - {from: check, to: draft, when: "!nodes.check.output.approved"}
  - {from: check, to: done, otherwise: true}
""".replace("OK?", "'OK?'")

DATA: dict[str, Any] = {
    "input": {"request": "tea", "n": 3, "half": 0.5, "list": [1, 2, 3], "texts": ["a}}", "b"], "none": None},
    "nodes": {"a": {"output": {"ok": True, "score": 7}, "status": "completed"}, "b": {"status": "skipped"}},
    "context": {"project_id": "p"},
    "visit": 2,
}


def test_json_and_yaml_say_the_same() -> None:
    definition = parse_definition(DOCUMENT)
    assert parse_definition(json.dumps(document_of(definition))) == definition
    assert fingerprint(parse_definition(canonical(definition).decode())) == fingerprint(definition)


def test_a_fingerprint_is_of_what_is_meant_and_not_of_how_it_is_written() -> None:
    same = DOCUMENT.replace("timeout_s: 60.0", "timeout_s: 60").replace(
        "name: Essay", "description: ''\nname: ' Essay '"
    )
    assert fingerprint(parse_definition(same)) == fingerprint(parse_definition(DOCUMENT))
    assert fingerprint(parse_definition(DOCUMENT.replace("join: 1", "join: any"))) != fingerprint(
        parse_definition(DOCUMENT)
    )


def test_the_published_schema_takes_what_is_taken_here() -> None:
    validator = Draft202012Validator(definition_schema())
    validator.validate(document_of(parse_definition(DOCUMENT)))
    assert not validator.is_valid({"name": "x", "nodes": [{"id": "a", "type": "agent"}]})
    assert not validator.is_valid(
        {"name": "x", "nodes": [{"id": "a", "type": "transform", "set": {"x": "1"}}], "more": 1}
    )


def test_a_definition_needs_a_request_unless_it_says_otherwise() -> None:
    assert parse_definition(DOCUMENT).input["required"] == ["request"]


MALFORMED: list[tuple[str, str]] = [
    ("{", "line 1, column 2: this is not JSON"),
    ('{"a": 1, "a": 2}', "the key 'a' is duplicate"),
    ('{"a": NaN}', "NaN is no number"),
    ("a: [", "line 1, column 5: this is not YAML"),
    ("a: &x 1\nb: *x", "line 2, column 4: aliases"),
    ("a: 1\na: 2", "line 2, column 1: the key 'a' is duplicate"),
    ("1: a", "line 1, column 1: a key has to be a text"),
    ("x: !!python/object:os.system 1", "line 1, column 4: this is not YAML"),
    ("[" * 5_000, "nested more than"),
    ('{"a":' * 50_000, "nested more than"),
    ("x" * 1_000_001, "1,000,000 characters"),
]


@pytest.mark.parametrize(("text", "said"), MALFORMED, ids=[said for _, said in MALFORMED])
def test_what_is_no_document_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_definition(text)
    assert said in refused.value.message


INVALID: list[tuple[str, str, str]] = [
    ("name: x", "nodes", "field required"),
    ("name: x\nnodes: []", "nodes", "at least 1 item"),
    ("name: x\nnodes: [{id: a, type: agent, prompt: p}]", "node a: agent", "field required"),
    ("name: x\nnodes: [{id: a, type: robot}]", "node a", "robot"),
    ("name: x\nnodes: [{id: a}]", "node a", "has no type"),
    ("name: x\nnodes: [{id: A, type: transform, set: {x: '1'}}]", "node A: id", "should match"),
    ("name: x\nnodes: [{id: a, type: transform, set: {x: '1'}, colour: red}]", "node a: colour", "no such field"),
    ("name: x\nnodes: [{id: a, type: wait}]", "node a", "exactly one of seconds, until and event"),
    ("name: x\nnodes: [{id: a, type: wait, seconds: 3, timeout_s: 2}]", "node a", "goes with an event"),
    ("name: x\nnodes: [{id: a, type: transform, set: {x: '1'}}]\nedges: [{from: a}]", "edges[0]: to", "field required"),
    ("name: x\nnodes: [{id: a, type: transform, set: {x: '1'}}]\nedges: [{from: a, to: a, if: y}]", "edge a -> a: if",
     "no such field"),
    ("name: x\nnodes: [{id: a, type: map, over: '[1]', parallel: 51, node: {type: transform, set: {x: '1'}}}]",
     "node a: parallel", "less than or equal to 50"),
    ("name: x\nnodes: [{id: a, type: transform, set: {x: '1'}, max_visits: 1001}]", "node a: max_visits", "1000"),
    ('{"name": "a\\u0000b", "nodes": []}', "document", "U+0000"),
    ('{"name": "a\\ud800b", "nodes": []}', "document", "surrogate"),
    ("- 1", "definition", "dictionary"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "where", "said"), INVALID, ids=[where for _, where, _ in INVALID])
def test_what_is_no_definition_is_refused_with_the_node_and_field(text: str, where: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_definition(text)
    problems = {problem["where"]: problem["message"] for problem in refused.value.details["problems"]}
    assert said in problems[where]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_whatever_the_text_it_is_read_or_refused(text: str) -> None:
    try:
        parse_definition(text)
    except (Invalid, Malformed):
        return


def test_what_is_bounded_in_a_cycle_runs_as_often_as_its_entry() -> None:
    visits = {node.id: node.max_visits for node in graph_of(parse_definition(DOCUMENT)).nodes}
    assert visits == {"draft": 3, "check": 3, "done": 3}  # a failure of `done` leads back to the draft


def test_a_node_says_what_it_reads() -> None:
    assert nodes_read_by(parse_definition(DOCUMENT), "check") == {"draft", "check"}
    assert nodes_read_by(parse_definition(DOCUMENT), "draft") == frozenset()


TEMPLATES: list[tuple[str, Any]] = [
    ("no holes", "no holes"),
    ("about {{ input.request }}, {{ input.n }} times", "about tea, 3 times"),
    ("{{ input.list }}", [1, 2, 3]),
    ("{{ input.list }} ", "[1, 2, 3] "),
    ("{{ input.none }}", None),
    ("{{ '}}' + \"{{\" }}x", "}}{{x"),
    ("{{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
    ("{{ input.texts[0] }}!", "a}}!"),
    ("{{ has(nodes.b.output) ? nodes.b.output : 'nothing' }}", "nothing"),
    ("a } b {", "a } b {"),
]


@pytest.mark.parametrize(("template", "value"), TEMPLATES)
def test_templates_are_filled(template: str, value: Any) -> None:
    assert fill({"x": [template]}, DATA) == {"x": [value]}
    assert render(template, DATA) == (value if isinstance(value, str) else json.dumps(value))


@pytest.mark.parametrize("template", ["{{ input.request", "{{ 'a }}", "{{ {'a': 1 }}", "{{ }}", "{{ nodes.z.output }}"])
def test_templates_that_cannot_be_filled_say_why(template: str) -> None:
    with pytest.raises(BadExpression):
        render(template, DATA)


@pytest.mark.parametrize("expression", ["it's ", '"a" + "b ', '"\\" ', "'''a ", 'r"\\'])
def test_a_text_without_an_end_ends_with_its_expression(expression: str) -> None:
    assert end_of_expression(f"{expression}}}}} and {{{{ input.x }}}}", 0) == len(expression)


def test_a_text_has_an_end() -> None:
    with pytest.raises(BadExpression, match="more than 1,000,000"):
        render("{{ context.x }}{{ context.x }}", {**DATA, "context": {"x": "x" * 600_000}})


def test_what_an_expression_reads() -> None:
    expression = "has(nodes.a.output) && nodes.a.output.score > 3 || input['n'] in input.list.map(n, n + context.x)"
    assert set(references(expression)) == {
        Reference(("nodes", "a", "output"), tested=True),
        Reference(("nodes", "a", "output", "score"), guarded=True),
        Reference(("input", "n")),
        Reference(("input", "list")),
        Reference(("context", "x")),
    }


def test_the_names_of_a_loop_are_not_read_from_outside() -> None:
    assert references("input.list.all(input, input > 1)") == (Reference(("input", "list")),)


VALUES: list[tuple[str, Any]] = [
    ("input.n + 1", 4),
    ("input.half * 2.0", 1.0),
    ("nodes.a.output.ok && visit == 2", True),
    ("input.list.filter(x, x > 1).map(x, x * x)", [4, 9]),
    ("timestamp('2026-01-01T00:00:00Z') + duration('1h')", "2026-01-01T01:00:00Z"),
    ("duration('90s')", 90.0),
    ("{'a': null}", {"a": None}),
    ("input.texts.exists(x, x.matches('^b$'))", True),
]


@pytest.mark.parametrize(("expression", "value"), VALUES)
def test_expressions_have_values(expression: str, value: Any) -> None:
    assert evaluate(expression, DATA) == value


COMPLAINTS: list[tuple[str, str]] = [
    ("input.zz", "there is no zz: guard it with has(…)"),
    ("1 +", "it cannot be read (mismatched input '<EOF>'), at character 4"),
    ("fun(1)", "fun"),
    ("budget > 1", "budget is not known here"),
    ("1 / 0", "divide by zero"),
    ("1.0 / 0.0", "the number is not finite"),
    ("b'x'", "the value is of a type that JSON does not have"),
    ("{1: 2}", "the keys of an object have to be texts"),
    ("input.n + 'x'", "+ does not go with (int64, string)"),
    ("(" * 100 + "1" + ")" * 100, "it is nested too deeply"),
    ("input.request == '" + "x" * 3000 + "'", "an expression has 2,000 characters at most"),
]


@pytest.mark.parametrize(("expression", "said"), COMPLAINTS, ids=[said for _, said in COMPLAINTS])
def test_an_expression_that_fails_says_what_is_wrong(expression: str, said: str) -> None:
    with pytest.raises(BadExpression) as failed:
        evaluate(expression, DATA)
    assert said in failed.value.reason


def test_a_condition_is_true_or_false() -> None:
    assert is_true("input.n > 2", DATA)
    with pytest.raises(BadExpression, match="neither"):
        is_true("input.n", DATA)


def test_types_are_checked_beside_has() -> None:
    kinds = {"input": "MAP<STRING, DYN>", "input.request": "STRING", "input.tags": "LIST<STRING>"}
    assert type_of("has(input.request) && input.request == 'has(x)'", kinds) == "BOOL"
    assert type_of("input.tags", kinds) == "LIST<STRING>"
    for wrong in ("input.request > 3", "input.tags.all(t, t > 3)", "input.request.name", "has(input.request) + 1"):
        with pytest.raises(BadExpression):
            type_of(wrong, kinds)


BIG: dict[str, Any] = {
    "input": {
        "s": "x" * 100_000,
        "l": list(range(9_000)),
        "big": ["w" * 2_000] * 500,
        "deep": [[["x" * 500] * 9] * 9] * 9,
    },
    "nodes": {},
    "context": {},
    "visit": 1,
}
HOSTILE = [
    "input.l.all(x, input.l == input.l)",
    "input.l.map(x, input.s + 'y')",
    "input.l.map(x, input.s)",
    "[input.s]" + ".map(a, a + a)" * 25,
    "[[1]]" + ".map(a, a + a)" * 25,
    "['x']" + ".map(a, a + a)" * 28,
    "input.l.all(x, input.l.all(y, input.l.all(z, x + y + z >= 0)))",
    "input.big.all(x, input.big.all(y, x == y))",
    "input.l.all(x, input.s.matches('(x+x+)+y'))",
    "[input].all(x, input.l.all(y, x == x))",
    "input.l.map(x, [x, x]).map(x, [x, x]).map(x, [x, x]).size() > 0",
    "input.deep.map(a, a.map(b, b.map(c, c + c)))" + " == [] || input.deep == input.deep" * 20,
    "input.l.exists(x, string(x).matches('((((9+)+)+)+)+z'))",
]


@pytest.mark.parametrize("expression", HOSTILE, ids=[each[:40] for each in HOSTILE])
def test_hostile_expressions_end(expression: str) -> None:
    started = time.monotonic()
    with contextlib.suppress(BadExpression):
        evaluate(expression, BIG)
    assert time.monotonic() - started < 3


def test_ordinary_work_on_much_data_is_not_refused() -> None:
    assert len(evaluate("input.big.filter(x, x.contains('w')).map(x, size(x))", BIG)) == 500
    assert evaluate("input.l.filter(x, x % 2 == 0).size()", BIG) == 4_500
    results = {"nodes": {"m": {"output": [{"score": at, "text": "t" * 3_000} for at in range(1_000)]}}}
    best = "nodes.m.output.filter(each, each != null && each.score >= 900).map(each, each.text)"
    assert len(evaluate(best, {**BIG, **results})) == 100


@pytest.mark.parametrize("expression", ["\ud800", "'\ud800'", "input['\udfff']", "input.a == '\ud83d'"])
def test_half_a_surrogate_pair_in_an_expression_is_told(expression: str) -> None:
    with pytest.raises(BadExpression, match="Unicode"):
        evaluate(expression, {"input": {}})
    with pytest.raises(BadExpression, match="Unicode"):
        type_of(expression, {})


TAGS = ["!!bool zz", "!!bool yes", "!!int '0x1F'", "!!float inf", "!!null x", "!!binary aGk=", "!!set {x, y}",
        "!!omap [x: 1]", "!!pairs [x: 1]", "!!timestamp 2024-01-01", "!!map [1]", "!!seq {b: 1}", "!mine 5", "! 5",
        "!!python/name:os.system ''"]  # fmt: skip


@pytest.mark.parametrize("value", TAGS)
@pytest.mark.parametrize("before", ["", "a: ", "a: {b: [{c: "])
def test_tags_are_refused_where_they_stand(value: str, before: str) -> None:
    with pytest.raises(Malformed, match=r"line 1, column .*tags are not supported"):
        parse_yaml(before + value + "}]}" * before.count("["))


def test_a_text_may_be_tagged_as_one() -> None:
    assert parse_yaml("{a: !!str 5, b: !!str yes}") == {"a": "5", "b": "yes"}


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 30_000, "- " * 60_000, "? " * 60_000, "a: [" + "[" * 120_000])
def test_what_is_nested_without_end_is_refused_soon(text: str) -> None:
    started = time.process_time()
    with pytest.raises(Malformed, match="nested more than"):
        parse_yaml(text)
    assert time.process_time() - started < 2
