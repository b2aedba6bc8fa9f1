"""Choosing a team: what the model may answer, and the rule that stands in for it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from adapters.files.agents import load_agent_files
from domain.ali.ranking import choose_by_rule, rank
from domain.ali.shapes import ALI_ANSWER, MOST_ACTIONS, SHAPES, TEAMS, team_shape
from domain.ali.team import LEAST_MEMBERS, MODES, MOST_MEMBERS, Candidate, Team, catalogue, parse_team, team_prompt
from domain.ali.words import stem, stems
from domain.answer_shape import AnswerShape
from domain.content import content_hash
from domain.message_parts import compose
from domain.swarm.task import MODES as SWARM_MODES
from tests.servers import ROOT

ALI = "ali_chief_of_staff"
AGENTS = [
    Candidate(agent.id, agent.name, agent.description, agent.capabilities)
    for agent in load_agent_files(Path(ROOT / "agents"))
]
OPTIONS = [one.id for one in AGENTS if one.id != ALI]
SHAPE = {shape.name: shape for shape in SHAPES}

words = st.sampled_from(["budget", "forecasts", "legal", "Risk", "design", "xyzzy", "the", "market", "plan", "hiring"])
tasks = st.lists(words, max_size=8).map(" ".join) | st.text(max_size=80)
candidates = st.lists(
    st.builds(
        Candidate,
        st.from_regex(r"\A[a-z][a-z_]{1,8}\Z"),
        st.lists(words, max_size=3).map(" ".join),
        st.lists(words, max_size=6).map(" ".join),
        st.lists(words, max_size=3).map(tuple),
    ),
    min_size=LEAST_MEMBERS,
    max_size=14,
    unique_by=lambda one: one.id,
)


def by_rule(task: str, most: int = 5, among: list[Candidate] | None = None, **more: Any) -> Team:
    because = "its answers named agents that do not exist"
    return choose_by_rule(task, AGENTS if among is None else among, most=most, coordinator=ALI, because=because, **more)


def problem(shape: AnswerShape, value: Any) -> str | None:
    """What is wrong with an answer: by the schema, or else by the shape."""
    error = next(Draft202012Validator(shape.schema(OPTIONS)).iter_errors(value), None)
    return error.message if error else shape.problem(value, OPTIONS)


def team(**changes: Any) -> dict[str, Any]:
    usual = {
        "members": ["amy_cfo", "antonio_strategy_expert"],
        "mode": "debate",
        "coordinator": None,
        "rationale": "Money against strategy.",
    }
    return {**usual, **changes}


def test_the_modes_are_those_of_swarms() -> None:
    assert tuple(MODES) == SWARM_MODES


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_schemas_are_schemas_that_strict_providers_take(shape: AnswerShape) -> None:
    schema = shape.schema(OPTIONS)
    Draft202012Validator.check_schema(schema)
    assert schema["required"] == list(schema["properties"])
    assert schema["additionalProperties"] is False


def test_each_size_has_a_shape_of_its_own() -> None:
    assert [shape.name for shape in TEAMS] == [team_shape(most) for most in range(2, 11)]
    members = OPTIONS[:6]
    assert problem(SHAPE[team_shape(6)], team(members=members)) is None
    assert problem(SHAPE[team_shape(5)], team(members=members)) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"members": ["amy_cfo"]},
        {"members": ["amy_cfo", "somebody"]},
        {"members": ["amy_cfo", "amy_cfo"]},
        {"members": [ALI, "amy_cfo"]},
        {"mode": "brainstorm"},
        {"coordinator": "somebody"},
        {"coordinator": "amy_cfo"},
        {"rationale": "  "},
        {"budget": 3},
    ],
    ids=str,
)
def test_a_team_that_cannot_be_is_a_problem(changes: dict[str, Any]) -> None:
    assert problem(SHAPE[team_shape(5)], team(**changes)) is not None


def test_a_team_names_its_members() -> None:
    assert SHAPE[team_shape(5)].named(team()) == ["amy_cfo", "antonio_strategy_expert"]


def test_an_answer_says_who_works_how_and_why() -> None:
    assert parse_team(json.dumps(team()), coordinator=ALI) == Team(
        ("amy_cfo", "antonio_strategy_expert"), "debate", ALI, "Money against strategy."
    )
    asked = parse_team(json.dumps(team(coordinator="davide_project_manager")), coordinator=ALI, mode="vote")
    assert (asked.coordinator, asked.mode) == ("davide_project_manager", "vote")


def test_an_answer_to_a_question_may_suggest_what_to_do() -> None:
    action = {"title": "Freeze hiring", "why": "Costs doubled.", "agent_id": "amy_cfo"}
    nobody = {**action, "agent_id": None}
    assert problem(ALI_ANSWER, {"answer": "Spend less.", "suggested_actions": [action, nobody]}) is None
    assert ALI_ANSWER.named({"answer": "", "suggested_actions": [action, nobody, action]}) == ["amy_cfo"]
    for wrong in (
        {"answer": "  ", "suggested_actions": []},
        {"answer": "Spend less.", "suggested_actions": [{**action, "title": " "}]},
        {"answer": "Spend less.", "suggested_actions": [{**action, "agent_id": "somebody"}]},
        {"answer": "Spend less.", "suggested_actions": [action] * (MOST_ACTIONS + 1)},
        {"answer": "Spend less."},
    ):
        assert problem(ALI_ANSWER, wrong) is not None, wrong


def test_the_message_holds_the_modes_the_agents_and_the_task() -> None:
    texts = {content_hash(text): text for text in (catalogue(AGENTS), "Plan the budget.", '{"priority": "high"}')}
    listed, task, context = texts
    message = compose(team_prompt(catalogue_hash=listed, task_hash=task, most=4), texts, most=10**6)
    assert "from 2 to 4 members" in message
    assert all(f"- {one.id}: {one.name}." in message for one in AGENTS)
    assert all(f"- {mode}: " in message for mode in MODES)
    assert message.endswith("The task:\nPlan the budget.")
    told = team_prompt(catalogue_hash=listed, task_hash=task, context_hash=context, most=4, mode="vote")
    message = compose(told, texts, most=10**6)
    assert message.endswith('as JSON:\n{"priority": "high"}')
    assert [f"- {mode}: " in message for mode in MODES] == [mode == "vote" for mode in MODES]


@given(task=tasks, among=candidates, most=st.integers(LEAST_MEMBERS, MOST_MEMBERS))
def test_the_rule_always_chooses_a_team_that_the_model_could_have_chosen(
    task: str, among: list[Candidate], most: int
) -> None:
    made = by_rule(task, most, among)
    value = {"members": list(made.members), "mode": made.mode, "coordinator": None, "rationale": made.rationale}
    shape = SHAPE[team_shape(most)]
    options = [one.id for one in among]
    assert not list(Draft202012Validator(shape.schema(options)).iter_errors(value))
    assert shape.problem(value, options) is None
    assert (made.mode, made.coordinator, made.chosen_by) == ("collaborative", ALI, "rule")
    assert by_rule(task, most, among[::-1]) == made


@given(task=tasks, among=candidates)
def test_a_word_that_only_one_agent_has_brings_it_forward(task: str, among: list[Candidate]) -> None:
    sought = Candidate("zz_specialist", "Zoe", "Knows all about quaternions.")
    before, after = (
        [match.candidate.id for match in rank(said, [*among, sought])] for said in (task, f"{task} quaternions")
    )
    assert after.index(sought.id) <= before.index(sought.id)


def test_the_rule_takes_those_whose_words_the_task_uses() -> None:
    assert by_rule("Prepare the quarterly budget and forecast for the board").members[0] == "amy_cfo"
    assert by_rule("What are the legal risks of launching in Germany?").members[0] == "elena_legal_compliance_expert"
    assert set(by_rule("Ask Amy and Antonio for a plan").members) == {"amy_cfo", "antonio_strategy_expert"}


def test_the_rule_says_openly_that_it_chose_why_and_by_which_words() -> None:
    rationale = by_rule("Prepare the quarterly budget and forecast").rationale
    assert rationale.startswith("A rule chose this team, not the model: its answers named agents that do not exist.")
    assert "amy_cfo (forecast, budget)" in rationale


def test_where_no_word_fits_the_first_two_by_their_ids_are_taken_and_that_is_said() -> None:
    made = by_rule("xyzzy", 10)
    assert made.members == tuple(OPTIONS[:2])
    assert made.rationale.count("shares no word with it") == 2


def test_the_coordinator_is_not_a_member_of_the_team() -> None:
    assert ALI not in by_rule("Choosing the right specialists, coordinating several agents", 10).members


def test_a_mode_that_was_asked_for_stands() -> None:
    assert by_rule("Plan the budget", mode="sequential").mode == "sequential"


def test_a_team_needs_two_to_choose_from() -> None:
    with pytest.raises(ValueError, match="two agents"):
        by_rule("Plan the budget", among=AGENTS[:2])


@pytest.mark.parametrize(
    "alike",
    [
        ("budget", "budgets", "budgeting"),
        ("strategy", "strategies", "strategic"),
        ("plan", "plans", "planning"),
        ("analysis", "analyses"),
        ("finance", "financial"),
        ("hire", "hiring"),
    ],
    ids=lambda alike: alike[0],
)
def test_words_are_alike_whatever_their_endings(alike: tuple[str, ...]) -> None:
    assert len({stem(word) for word in alike}) == 1


def test_words_that_say_nothing_are_passed_over() -> None:
    assert stems("What should we do about the Budget of 2026?") == {"budget": "budget", "2026": "2026"}
