"""What may be done to an agent, and when the files may do it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from pydantic import ValidationError

from domain.agents.aggregate import RegisteredAgent, define, deploy, evolve_all, retire
from domain.agents.definition import AgentDefinition, fingerprint
from domain.agents.events import AgentDefined, AgentDeployed, AgentRetired
from domain.agents.policy import seed_events
from domain.errors import Conflict, Invalid, NotFound
from domain.events import Cause, Event, EventRegistry

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
FILES = Cause(by="seed", because="agents/ada.md", at=AT, tenant_id="default")
SOMEBODY = Cause(by="key_1", because="req_1", at=AT, tenant_id="default")


def ada(**changed: object) -> AgentDefinition:
    fields = {
        "id": "ada",
        "name": "Ada - Tester",
        "description": "Tests.",
        "capabilities": ("Testing",),
        "tools": ("delegate",),
        "color": "#123456",
        "instructions": "You are Ada.",
    }
    return AgentDefinition.model_validate({**fields, **changed})


def defined(version: int, definition: AgentDefinition, cause: Cause) -> AgentDefined:
    return AgentDefined(definition=definition, agent_version=version, **cause.fields())


def deployed(version: int, cause: Cause) -> AgentDeployed:
    return AgentDeployed(agent_version=version, **cause.fields())


def given(*events: Event) -> RegisteredAgent:
    return evolve_all(RegisteredAgent(), events)


def test_a_first_definition_is_version_one() -> None:
    assert define(given(), ada(), SOMEBODY) == [defined(1, ada(), SOMEBODY)]


def test_a_changed_definition_is_the_next_version() -> None:
    agent = given(defined(1, ada(), SOMEBODY))
    assert define(agent, ada(color="#654321"), SOMEBODY) == [defined(2, ada(color="#654321"), SOMEBODY)]


def test_saying_again_what_stands_changes_nothing() -> None:
    agent = given(defined(1, ada(), SOMEBODY), deployed(1, SOMEBODY))
    assert define(agent, ada(), SOMEBODY) == []
    assert deploy(agent, 1, SOMEBODY) == []


def test_an_unknown_tool_is_refused_by_field_and_reason() -> None:
    with pytest.raises(Invalid) as refusal:
        define(given(), ada(tools=("delegate", "teleport")), SOMEBODY)
    assert refusal.value.details["field"] == "tools"
    assert "teleport" in refusal.value.details["reason"]


def test_an_agent_keeps_its_id() -> None:
    with pytest.raises(Invalid, match="keeps its id ada"):
        define(given(defined(1, ada(), SOMEBODY)), ada(id="bob"), SOMEBODY)


def test_an_older_version_can_be_deployed_again() -> None:
    agent = given(defined(1, ada(), SOMEBODY), defined(2, ada(color="#654321"), SOMEBODY), deployed(2, SOMEBODY))
    assert deploy(agent, 1, SOMEBODY) == [deployed(1, SOMEBODY)]


@pytest.mark.parametrize("version", [-1, 0, 2])
def test_a_version_that_does_not_exist_is_not_deployed(version: int) -> None:
    with pytest.raises(NotFound):
        deploy(given(defined(1, ada(), SOMEBODY)), version, SOMEBODY)


def test_a_retired_agent_is_neither_defined_nor_deployed_again() -> None:
    agent = given(defined(1, ada(), SOMEBODY), deployed(1, SOMEBODY), AgentRetired(**SOMEBODY.fields()))
    with pytest.raises(Conflict):
        define(agent, ada(color="#654321"), SOMEBODY)
    with pytest.raises(Conflict):
        deploy(agent, 1, SOMEBODY)
    assert retire(agent, SOMEBODY) == []


def test_an_agent_that_was_never_defined_cannot_be_retired() -> None:
    with pytest.raises(NotFound):
        retire(given(), SOMEBODY)


def test_a_file_is_defined_and_deployed_at_once() -> None:
    assert seed_events(given(), ada(), FILES) == [defined(1, ada(), FILES), deployed(1, FILES)]


def test_an_unchanged_file_changes_nothing() -> None:
    assert seed_events(given(defined(1, ada(), FILES), deployed(1, FILES)), ada(), FILES) == []


def test_a_changed_file_is_a_new_version_and_deployed() -> None:
    agent = given(defined(1, ada(), FILES), deployed(1, FILES))
    changed = ada(instructions="You are Ada, and you measure.")
    assert seed_events(agent, changed, FILES) == [defined(2, changed, FILES), deployed(2, FILES)]


def test_a_file_that_goes_back_to_an_earlier_text_is_a_change_again() -> None:
    changed = ada(color="#654321")
    agent = given(defined(1, ada(), FILES), deployed(1, FILES), defined(2, changed, FILES), deployed(2, FILES))
    assert seed_events(agent, ada(), FILES) == [defined(3, ada(), FILES), deployed(3, FILES)]


HANDS_OFF: dict[str, Sequence[Event]] = {
    "made by somebody": [defined(1, ada(), SOMEBODY), deployed(1, SOMEBODY)],
    "made by somebody, not deployed": [defined(1, ada(), SOMEBODY)],
    "changed by somebody": [
        defined(1, ada(), FILES),
        deployed(1, FILES),
        defined(2, ada(color="#654321"), SOMEBODY),
        deployed(2, SOMEBODY),
    ],
    "rolled back by somebody": [
        defined(1, ada(), FILES),
        deployed(1, FILES),
        defined(2, ada(color="#654321"), FILES),
        deployed(2, FILES),
        deployed(1, SOMEBODY),
    ],
    "retired by somebody": [defined(1, ada(), FILES), deployed(1, FILES), AgentRetired(**SOMEBODY.fields())],
}


@pytest.mark.parametrize("past", HANDS_OFF.values(), ids=HANDS_OFF.keys())
def test_the_files_leave_alone_what_somebody_has_decided(past: Sequence[Event]) -> None:
    assert seed_events(given(*past), ada(instructions="You are the new Ada."), FILES) == []


def test_a_fingerprint_is_the_hash_of_the_canonical_json() -> None:
    canonical = (
        '{"capabilities":["Testing"],"color":"#123456","description":"Tests.","id":"ada",'
        '"instructions":"You are Ada.","name":"Ada - Tester","temperature":1,"tools":["delegate"]}'
    )
    assert fingerprint(ada(temperature=1.0)) == sha256(canonical.encode()).hexdigest()


def test_a_fingerprint_is_of_the_content_alone() -> None:
    assert fingerprint(ada()) == fingerprint(ada(model=None, aliases=()))
    assert fingerprint(ada(temperature=1)) == fingerprint(ada(temperature=1.0))
    assert fingerprint(ada(instructions="You are Ada!")) != fingerprint(ada())


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "Ada"},
        {"id": "a"},
        {"name": "two\nlines"},
        {"name": " "},
        {"description": "x" * 501},
        {"capabilities": ("same", "same")},
        {"tools": "delegate"},
        {"color": "#12345"},
        {"aliases": ("no spaces",)},
        {"temperature": 2.1},
        {"temperature": float("nan")},
        {"instructions": ""},
        {"instructions": "x" * 20_001},
        {"instructions": "nul \x00"},
        {"mood": "sunny"},
    ],
)
def test_what_cannot_be_an_agent_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ada(**changed)


def test_colours_are_kept_in_capitals() -> None:
    assert ada(color="#abcdef").color == "#ABCDEF"


def test_stored_events_come_back_whole() -> None:
    registry = EventRegistry([AgentDefined, AgentDeployed, AgentRetired])
    event = defined(1, ada(model="m", temperature=0.7, aliases=("countess",)), SOMEBODY)
    assert registry.decode(*registry.encode(event)) == event
