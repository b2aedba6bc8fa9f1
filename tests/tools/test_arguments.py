"""Whether a model's arguments can be used, in sentences that it can act on."""

import json
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.tools.toolbox.costs import QueryCosts
from activities.tools.toolbox.knowledge import SearchKnowledge
from activities.tools.toolbox.workflow_tools import DELEGATE, REQUEST_APPROVAL
from adapters.web.fetch import WebFetch
from domain.tools.arguments import MOST_CHARACTERS, argument_problem, parse_arguments, schema_problem
from tests.tools.calls import ANYTHING, spec

COSTS = QueryCosts.spec
OURS = (COSTS, SearchKnowledge.spec, WebFetch.spec, DELEGATE, REQUEST_APPROVAL)


def test_arguments_that_follow_the_schema_have_no_problem() -> None:
    text = '{"period": "7d", "group_by": "agent"}'
    assert argument_problem(COSTS, text) is None
    assert parse_arguments(text) == {"period": "7d", "group_by": "agent"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "'period' is a required property"),
        ('{"period": "week", "group_by": "agent"}', "period: 'week' is not one of ['today', '7d', '30d', 'month']"),
        ('{"period": "7d", "group_by": "agent", "limit": 3}', "'limit' was unexpected"),
    ],
)
def test_a_problem_names_the_tool_the_place_and_what_to_do(text: str, told: str) -> None:
    problem = argument_problem(COSTS, text)
    assert problem is not None
    assert problem.startswith("query_costs was not called")
    assert told in problem
    assert problem.endswith("Call it again with better ones.")


def test_a_model_that_writes_nothing_says_nothing() -> None:
    anything = spec()
    assert argument_problem(anything, " ") is None
    assert parse_arguments("") == {}


def test_texts_that_cannot_be_stored_are_refused() -> None:
    assert "U+0000" in (argument_problem(spec(), '{"a": ["b\\u0000"]}') or "")
    assert "U+0000" in (argument_problem(spec(), '{"a\\u0000": 1}') or "")
    assert argument_problem(spec(), '{"a": "\\ud800"}') is not None


def test_arguments_are_bounded() -> None:
    assert "characters" in (argument_problem(spec(), json.dumps({"a": "x" * MOST_CHARACTERS})) or "")
    assert "nested" in (argument_problem(spec(), '{"a":' + "[" * 200 + "]" * 200 + "}") or "")


def test_long_problems_are_cut() -> None:
    problem = argument_problem(
        spec(parameters={**ANYTHING, "properties": {"a": {"enum": [1]}}}), f'{{"a": "{"x" * 5000}"}}'
    )
    assert problem is not None
    assert len(problem) < 600


def test_a_schema_is_never_fetched() -> None:
    outside = spec(parameters={"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/schema.json"}}})
    assert "127.0.0.1" in (schema_problem(outside) or "")
    with warnings.catch_warnings(record=True) as raised:
        assert "its own schema" in (argument_problem(outside, '{"a": 1}') or "")
    assert raised == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {},
        {"type": "object", "properties": {"a": {"type": "colour"}}},
        {"type": "object", "$ref": "x"},
    ],
)
def test_a_schema_that_cannot_be_used_is_found_before_it_is_offered(schema: dict[str, Any]) -> None:
    assert schema_problem(spec(parameters=schema))


def test_a_schema_may_say_which_draft_it_follows() -> None:
    old = "http://json-schema.org/draft-07/schema#"
    schema = {"$schema": old, "type": "object", "properties": {"a": {"type": "array", "items": [{"type": "string"}]}}}
    assert schema_problem(spec(parameters=schema)) is None
    assert argument_problem(spec(parameters=schema), '{"a": [1]}') is not None


def test_references_inside_a_schema_are_followed() -> None:
    schema = {"type": "object", "$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}
    assert schema_problem(spec(parameters=schema)) is None
    assert "is not of type 'integer'" in (argument_problem(spec(parameters=schema), '{"a": "b"}') or "")


@pytest.mark.parametrize("tool", OURS, ids=lambda tool: tool.name)
def test_the_schemas_of_our_own_tools_can_be_used(tool: Any) -> None:
    assert schema_problem(tool) is None
    assert tool.parameters["additionalProperties"] is False
    assert all(field["description"] for field in tool.parameters["properties"].values())


@given(st.text(max_size=60))
def test_any_text_has_a_problem_or_can_be_read(text: str) -> None:
    if argument_problem(spec(), text) is None:
        assert isinstance(parse_arguments(text), dict)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["period", "group_by", "x"]), _JSON | st.sampled_from(["7d", "agent"])))
def test_only_what_follows_the_schema_passes(arguments: dict[str, Any]) -> None:
    good = (
        arguments.keys() == {"period", "group_by"}
        and arguments["period"] in ["today", "7d", "30d", "month"]
        and arguments["group_by"] in ["agent", "model", "day", "session", "workflow", "key"]
    )
    assert (argument_problem(COSTS, json.dumps(arguments)) is None) == good
