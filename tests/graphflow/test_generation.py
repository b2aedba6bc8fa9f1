"""What an answer that draws a workflow may be: as strict as the language itself, and told what is wrong with it."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from activities.chat.answer_shapes import SHAPES
from activities.chat.reply import ReplyConstraints, parse_reply
from domain.graphflow.definition.documents import document_of, parse_definition
from domain.graphflow.definition.model import definition_schema
from domain.graphflow.generation.answer import DESIGN, options, parse_answer
from domain.graphflow.generation.prompt import MODES, generation_prompt, number_requirements, signature
from domain.graphflow.generation.schema import SCHEMA, TYPES
from domain.graphflow.validation.context import KnownWorkflow, ValidationContext, names_in
from domain.swarm.task import MODES as ALL_MODES
from tests.graphflow.test_validation import BROKEN, KNOWN
from tests.servers import ROOT

READY_MADE = sorted((ROOT / "domain/graphflow/readymade").glob("*.yaml"))


def problem_of(answer: Any, given: tuple[str, ...]) -> str | None:
    """What the model is told about an answer, if it cannot be used."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return parse_reply(text, "stop", ReplyConstraints(shape=SHAPES["graphflow.design"], options=given), "call").problem


def an_answer(*nodes: dict[str, Any], requirements: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    return {"definition": {"name": "W", "nodes": list(nodes), "edges": [], **more}, "requirements": requirements or []}


def known_to(document: Any) -> ValidationContext:
    """All that a definition names."""
    named = names_in(parse_definition(json.dumps(document)))
    return ValidationContext(
        agents=dict.fromkeys(named.agents, Decimal(0)),
        tools={name: {"type": "object"} for name in named.tools},
        modes=dict.fromkeys(MODES, lambda members, _: members),
        workflows={ref: KnownWorkflow({}) for ref in named.workflows},
    )


SAY = {"id": "say", "type": "agent", "agent": "ann", "prompt": "Say {{ input.request }}"}
GIVEN = options(KNOWN, 0)


@pytest.mark.parametrize("file", READY_MADE, ids=lambda file: file.stem)
def test_what_ships_with_the_platform_could_have_been_drawn(file: Path) -> None:
    document = document_of(parse_definition(file.read_text()))
    answer = {"definition": document, "requirements": []}
    assert problem_of(answer, options(known_to(document), 0)) is None
    found = parse_answer(json.dumps(answer), options(known_to(document), 0))
    assert found.definition is not None
    assert document_of(found.definition) == document


@pytest.mark.parametrize("case", BROKEN, ids=[f"{case['code']} {at}" for at, case in enumerate(BROKEN)])
def test_what_is_broken_is_told_of_in_the_same_words(case: dict[str, Any]) -> None:
    document = {name: value for name, value in case.items() if name not in {"code", "where"}}
    answer = {"definition": {"name": "broken", "edges": [], **document}, "requirements": []}
    told = problem_of(answer, GIVEN)
    if case["code"] == "includes_itself":  # what is being drawn is not kept, so nothing can include it yet
        return
    assert told is not None
    assert len(told) < 4_000
    if len(parse_answer(json.dumps(answer), GIVEN).problems) <= 10:
        assert case["where"] in told or case["code"] == "bad_schema"


def test_every_field_of_the_language_can_be_written_and_no_other() -> None:
    defs = definition_schema()["$defs"]
    kinds = {name: each for name, each in defs.items() if name.endswith("Node")}
    assert {each["properties"]["type"]["const"] for each in kinds.values()} == set(TYPES)
    ours = SCHEMA["properties"]["definition"]["properties"]
    assert set(ours) == set(definition_schema()["properties"])
    assert set(ours["nodes"]["items"]["properties"]) == {name for each in kinds.values() for name in each["properties"]}
    assert set(ours["edges"]["items"]["properties"]) == set(defs["Edge"]["properties"])
    inner = ("AgentWork", "ToolWork", "TransformWork", "WorkflowWork")
    assert set(SCHEMA["$defs"]["work"]["properties"]) == {name for each in inner for name in defs[each]["properties"]}
    assert set(ours["nodes"]["items"]["properties"]["retry"]["properties"]) == set(defs["Retry"]["properties"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prompt": None}, "None is not of type 'string'"),
        ({"mood": "sunny"}, "'mood' was unexpected"),
        ({"id": "Say"}, "node Say: id"),
        ({"set": {"x": "1"}}, "node say: set: there is no such field"),
        ({"retry": {"attempts": 99}}, "node say: retry.attempts"),
        ({"type": "gaze"}, "'gaze' is not one of"),
        ({"agent": "anne"}, "Did you mean ann"),
        ({"prompt": "{{ nodes.say2.output }}"}, "there is no node say2"),
    ],
    ids=str,
)
def test_a_field_that_is_wrong_is_named(changes: dict[str, Any], told: str) -> None:
    assert told in (problem_of(an_answer({**SAY, **changes}), GIVEN) or "")


def test_fields_may_be_null_where_they_may_be_left_out() -> None:
    nothing = dict.fromkeys(("title", "tools", "output", "approval", "max_visits", "retry", "timeout_s", "compensate"))
    assert problem_of(an_answer({**SAY, **nothing}), GIVEN) is None


@pytest.mark.parametrize(
    ("traced", "told"),
    [
        ([], "requirement 1: it is not traced"),
        ([{"nodes": ["say"]}, {"nodes": ["say"]}], "requirement 1: it is traced 2 times"),
        ([{"nodes": []}], "requirement 1: it is met by no node"),
        ([{"nodes": ["tell"]}], "requirement 1: there is no node tell"),
        ([{"nodes": ["say"], "how": " "}], "requirement 1: how is empty"),
        ([{"nodes": ["say"]}, {"requirement": 2, "nodes": ["say"]}], "requirement 2: there is no such requirement"),
    ],
    ids=str,
)
def test_each_requirement_is_traced_once(traced: list[dict[str, Any]], told: str) -> None:
    requirements = [{"requirement": 1, "met": True, "how": "It does.", **each} for each in traced]
    assert told in (problem_of(an_answer(SAY, requirements=requirements), options(KNOWN, 1)) or "")


def test_what_is_not_met_needs_no_node_but_a_reason() -> None:
    unmet = {"requirement": 1, "nodes": [], "met": False, "how": "There is no clock."}
    assert problem_of(an_answer(SAY, requirements=[unmet]), options(KNOWN, 1)) is None
    found = parse_answer(json.dumps(an_answer(SAY, requirements=[unmet])), options(KNOWN, 1))
    assert [(each.requirement, each.met, each.how) for each in found.requirements] == [(1, False, "There is no clock.")]


def test_a_tool_is_given_what_it_asks_for() -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string", "description": "long"}}, "required": ["q"]}
    given = options(ValidationContext(agents={}, tools={"find": schema}), 0)
    assert all("long" not in option for option in given), "only names and types travel"
    tool = {"id": "look", "type": "tool", "tool": "find", "arguments": {}}
    assert "q is missing" in (problem_of(an_answer(tool), given) or "")
    assert problem_of(an_answer({**tool, "arguments": {"q": "{{ input.request }}"}}), given) is None


def test_what_a_model_is_told_is_bounded() -> None:
    nodes = [{**SAY, "id": f"say{number}", "agent": "nobody" * 10} for number in range(100)]
    told = problem_of(an_answer(*nodes), GIVEN) or ""
    assert len(told) < 4_000
    assert "and 90 more" in told


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda each: (
            st.lists(each) | st.dictionaries(st.sampled_from(["definition", "requirements", "nodes", "id"]), each)
        ),
    )
)
def test_whatever_is_answered_is_read(value: Any) -> None:
    found = parse_answer(json.dumps(value), GIVEN)
    assert found.problems or found.definition


@pytest.mark.parametrize("text", ["", "no", "[" * 100_000, '{"definition": NaN}', "null"])
def test_what_is_no_answer_is_said_to_be_none(text: str) -> None:
    found = parse_answer(text, GIVEN)
    assert found.definition is None
    assert found.problems


def test_an_answer_that_was_cut_is_told_from_one_that_is_none() -> None:
    text = json.dumps(an_answer(SAY))
    assert [each.code for each in parse_answer(text[:-20], GIVEN).problems] == ["cut"]
    assert [each.code for each in parse_answer(f"{text}}}", GIVEN).problems] == ["no_json"]


def test_the_ways_of_a_swarm_are_all_told_of() -> None:
    assert set(MODES) == set(ALL_MODES)


def test_the_example_in_the_rules_is_right() -> None:
    rules = generation_prompt(names_hash="n", description_hash="d", requirements_hash=None)[0].text
    example = next(line for line in rules.splitlines() if line.startswith('{"nodes"'))
    drawing = json.loads(example.replace("<agent>", "ann"))
    assert problem_of({"definition": {"name": "W", **drawing}, "requirements": []}, GIVEN) is None


def test_the_rules_name_every_type_of_node_and_every_field_that_one_has_to_have() -> None:
    rules = generation_prompt(names_hash="n", description_hash="d", requirements_hash="r")[0].text
    assert all(f"\n- {kind}: " in rules for kind in TYPES)
    for each in definition_schema()["$defs"].values():
        assert all(name in rules for name in each.get("required", ()))


def test_rules_and_schema_leave_room_in_a_small_window() -> None:
    rules = generation_prompt(names_hash="n", description_hash="d", requirements_hash="r")
    assert sum(len(part.text) for part in rules) < 4_500
    assert len(json.dumps(DESIGN.schema(()))) < 4_000


def test_tools_are_told_by_what_they_are_given() -> None:
    assert signature("find", {"properties": {"q": {}, "limit": {}}, "required": ["q"]}) == "find(q, limit?)"
    assert signature("now", {}) == "now()"
    assert number_requirements(["Do it", "Well"]) == "1. Do it\n2. Well"


def test_broken_definitions_are_read_from_the_same_file() -> None:
    assert len(BROKEN) == len(yaml.safe_load((Path(__file__).parent / "broken.yaml").read_text()))
