"""What ids are made of, and whose a name is."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.agents import names
from domain.agents.aggregate import RegisteredAgent, define, deploy, evolve_all, retire
from domain.agents.definition import AgentDefinition, AgentId
from domain.agents.events import NameClaimed, NameReleased
from domain.agents.names import AgentName, slug
from domain.display_names import fold_name
from domain.errors import Conflict, Invalid
from domain.events import Cause, Event

CAUSE = Cause("key_1", "req_1", datetime(2026, 11, 23, tzinfo=UTC), "default")
IDS = TypeAdapter(AgentId)
TEXTS = st.text(min_size=1, max_size=120).filter(str.strip)


def ada(**changed: object) -> AgentDefinition:
    fields = {"id": "ada", "name": "Ada", "description": "Tests.", "color": "#123456", "instructions": "Test."}
    return AgentDefinition.model_validate({**fields, **changed})


def an_agent(*versions: AgentDefinition, deployed: int | None = None, retired: bool = False) -> RegisteredAgent:
    agent = RegisteredAgent()
    for version in versions:
        agent = evolve_all(agent, define(agent, version, CAUSE))
    if deployed:
        agent = evolve_all(agent, deploy(agent, deployed, CAUSE))
    return evolve_all(agent, retire(agent, CAUSE)) if retired else agent


def claimed(agent_id: str) -> NameClaimed:
    return NameClaimed(agent_id=agent_id, **CAUSE.fields())


def released(agent_id: str) -> NameReleased:
    return NameReleased(agent_id=agent_id, **CAUSE.fields())


@pytest.mark.parametrize(
    ("name", "agent_id"),
    [
        ("Custom Agent", "custom_agent"),
        ("  Ava - Analytics, v2! ", "ava_analytics_v2"),
        ("Zoë Müller", "zoe_muller"),
        ("007", "agent_007"),
        ("X", "agent_x"),
        ("Chat", "chat_agent"),
        ("ali", "ali_agent"),
        ("n" * 100, "n" * 64),
        ("_a_", "agent_a"),
    ],
)
def test_an_id_is_made_of_the_names_letters_and_digits(name: str, agent_id: str) -> None:
    assert slug(name) == agent_id


@given(TEXTS)
def test_every_name_makes_an_id(name: str) -> None:
    assert IDS.validate_python(slug(name)) not in names.RESERVED


@given(TEXTS)
def test_the_same_name_makes_the_same_id(name: str) -> None:
    assert slug(name) == slug(name)
    assert slug(f"  {name} ") == slug(name)


@given(TEXTS)
def test_folding_again_changes_nothing(name: str) -> None:
    assert fold_name(fold_name(name)) == fold_name(name)


@pytest.mark.parametrize("other", ["ADA  LOVELACE", " ada lovelace ", "Ada\tLovelace", "Ada \uff2covelace"])
def test_names_that_look_the_same_are_the_same(other: str) -> None:
    assert fold_name(other) == fold_name("Ada Lovelace")


def test_an_agent_holds_the_names_of_its_newest_and_its_deployed_version() -> None:
    first, second, third = ada(aliases=("a1",)), ada(name="Beta", aliases=("a2",)), ada(name="Gamma")
    held = names.owned_names(an_agent(first, second, third, deployed=1))
    assert held == {AgentName("id", "ada"), AgentName("id", "a1"), AgentName("name", "ada"), AgentName("name", "gamma")}


def test_a_retired_agent_holds_its_id_only() -> None:
    assert names.owned_names(an_agent(ada(aliases=("a1",)), deployed=1, retired=True)) == {AgentName("id", "ada")}


@pytest.mark.parametrize(
    ("events", "holder"),
    [
        ([], None),
        ([claimed("ada")], "ada"),
        ([claimed("ada"), released("ada")], None),
        ([claimed("ada"), released("ada"), claimed("bob")], "bob"),
    ],
)
def test_a_name_is_whose_claim_was_not_released(events: list[Event], holder: str | None) -> None:
    assert names.owner_of(events) == holder


def test_a_name_that_somebody_has_claimed_is_taken() -> None:
    wanted = AgentName("name", "ada")
    with pytest.raises(Conflict, match="already names ada"):
        names.refuse_taken("bob", {wanted}, {wanted.stream("default"): [claimed("ada")]}, [], "default")
    names.refuse_taken("ada", {wanted}, {wanted.stream("default"): [claimed("ada")]}, [], "default")


def test_a_name_in_the_registry_is_taken_unless_its_agent_is_retired() -> None:
    alias = names.AgentNames("ada", "Ada", ["countess"], retired=False)
    with pytest.raises(Conflict) as refused:
        names.refuse_taken("bob", {AgentName("id", "countess")}, {}, [alias], "default")
    assert refused.value.details == {"field": "aliases", "agent_id": "ada"}
    gone = names.AgentNames("ada", "Ada", ["countess"], retired=True)
    names.refuse_taken("bob", {AgentName("id", "countess"), AgentName("name", "ada")}, {}, [gone], "default")
    with pytest.raises(Conflict):
        names.refuse_taken("bob", {AgentName("id", "ada")}, {}, [gone], "default")


def test_new_names_are_claimed_and_those_left_behind_released() -> None:
    before, after = an_agent(ada(), deployed=1), an_agent(ada(name="Beta"), deployed=1)
    claims = {AgentName("name", "ada").stream("default"): [claimed("ada")]}
    changes = names.name_changes("ada", before, after, claims, CAUSE)
    assert {(change.stream, change.expected, type(change.events[0])) for change in changes} == {
        (AgentName("name", "ada").stream("default"), 1, NameReleased),
        (AgentName("name", "beta").stream("default"), 0, NameClaimed),
    }


def test_a_name_that_was_never_claimed_is_not_released() -> None:
    before, after = an_agent(ada(), deployed=1), an_agent(ada(name="Beta"), deployed=1)
    changes = names.name_changes("ada", before, after, {}, CAUSE)
    assert [change.stream for change in changes] == [AgentName("name", "beta").stream("default")]


@pytest.mark.parametrize("alias", sorted(names.RESERVED))
def test_no_alias_may_be_part_of_a_path(alias: str) -> None:
    with pytest.raises(Invalid, match=alias):
        names.refuse_reserved(["fine", alias])
