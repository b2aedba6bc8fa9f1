"""The workflows that ship with the platform."""

from decimal import Decimal
from pathlib import Path

import pytest

from domain.graphflow.definition.diagram import mermaid
from domain.graphflow.definition.documents import parse_definition
from domain.graphflow.definition.model import Definition
from domain.graphflow.definition.to_graph import graph_of
from domain.graphflow.validation.context import ValidationContext
from domain.graphflow.validation.validate import validate
from domain.swarm.plans import PLANS
from domain.swarm.task import MODES, ROUNDS, Mode, SwarmTask
from tests.graphflow.graphs import choice, play
from tests.servers import ROOT

FILES = sorted((ROOT / "domain/graphflow/readymade").glob("*.yaml"))


def turns(mode: Mode, members: int, rounds: int | None) -> int:
    return PLANS[mode].planned_turns(
        SwarmTask(mode, tuple("abcdefghijklmnopqrst"[:members]), "a", "", None, rounds or ROUNDS)
    )


KNOWN = ValidationContext(
    agents={path.stem: Decimal("0.01") for path in (ROOT / "agents").glob("*.md")},
    modes={mode: lambda members, rounds, mode=mode: turns(mode, members, rounds) for mode in MODES},
    calls_per_turn=3,
)


def read(path: Path) -> Definition:
    return parse_definition(path.read_text())


def test_the_five_are_there() -> None:
    names = ["customer_onboarding", "incident_response", "market_entry", "product_launch", "strategic_analysis"]
    assert [path.stem for path in FILES] == names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_is_valid_and_nothing_in_it_is_doubtful(path: Path) -> None:
    found = validate(read(path), KNOWN)
    assert [str(error) for error in found.errors] == []
    assert [str(each) for each in found.warnings] == []
    assert found.worst_case is not None
    assert found.worst_case.model_calls < 200


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_needs_a_request_only_and_asks_a_person(path: Path) -> None:
    definition = read(path)
    assert definition.input["required"] == ["request"]
    assert list(definition.input["properties"]) == ["request"]
    assert any(node.type == "approval" for node in definition.nodes)
    assert mermaid(definition).startswith("flowchart")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_ends_whatever_its_conditions_give(path: Path) -> None:
    definition = read(path)
    graph = graph_of(definition)
    for seed in range(50):
        assert play(graph, choice(graph, seed, 0.9), seed).last.over is not None


def test_together_they_use_what_the_language_has() -> None:
    definitions = [read(path) for path in FILES]
    types = {node.type for definition in definitions for node in definition.nodes}
    assert types >= {"agent", "swarm", "approval", "transform", "map"}
    assert any(edge.otherwise for definition in definitions for edge in definition.edges)
    assert any(node.max_visits for definition in definitions for node in definition.nodes)
    assert any(node.join != "all" for definition in definitions for node in definition.nodes)
