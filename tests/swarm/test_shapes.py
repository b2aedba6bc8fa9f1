"""What members and coordinators answer where a plan reads it."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from domain.swarm.shapes import BALLOT, HANDOFF, LIST, SHAPES, SPLIT

WHO = ("ada", "bea")


def part(member: str, task: str = "do it") -> dict[str, str]:
    return {"member": member, "task": task}


GOOD: list[tuple[Any, tuple[str, ...], dict[str, Any], list[str]]] = [
    (SPLIT, WHO, {"parts": [part("bea"), part("ada")]}, ["bea", "ada"]),
    (LIST, (), {"options": ["stay", "go"]}, ["option_1", "option_2"]),
    (BALLOT, ("option_1", "option_2"), {"reason": "It is cheap.", "option": "option_2"}, ["option_2"]),
    (HANDOFF, ("bea", "finish"), {"answer": "So far.", "next": "bea"}, ["bea"]),
]


@pytest.mark.parametrize(("shape", "options", "value", "named"), GOOD)
def test_a_good_answer_names_what_the_plan_asks_for(
    shape: Any, options: tuple[str, ...], value: dict[str, Any], named: list[str]
) -> None:
    Draft202012Validator(shape.schema(options)).validate(value)
    assert shape.problem(value, options) is None
    assert shape.named(value) == named


BAD: list[tuple[Any, tuple[str, ...], dict[str, Any]]] = [
    (SPLIT, WHO, {"parts": []}),
    (SPLIT, WHO, {"parts": [part("cleo")]}),
    (SPLIT, WHO, {"parts": [part("ada", "")]}),
    (SPLIT, WHO, {"parts": [part("ada"), part("bea"), part("ada")]}),
    (LIST, (), {"options": ["stay"]}),
    (LIST, (), {"options": ["stay"] * 9}),
    (BALLOT, ("option_1",), {"reason": "", "option": "option_1"}),
    (BALLOT, ("option_1",), {"reason": "It is cheap.", "option": "option_2"}),
    (HANDOFF, ("bea", "finish"), {"answer": "So far.", "next": "ada"}),
    (HANDOFF, ("bea", "finish"), {"next": "bea"}),
]


@pytest.mark.parametrize(("shape", "options", "value"), BAD)
def test_an_answer_that_the_plan_cannot_read_does_not_follow_its_shape(
    shape: Any, options: tuple[str, ...], value: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        Draft202012Validator(shape.schema(options)).validate(value)


def test_nobody_gets_two_parts() -> None:
    said = SPLIT.problem({"parts": [part("ada"), part("bea"), part("ada")]}, (*WHO, "cleo"))
    assert said == "ada: a member gets one part at most"


def test_schemas_are_schemas_and_their_names_fit_a_provider() -> None:
    for shape in SHAPES:
        Draft202012Validator.check_schema(dict(shape.schema(WHO)))
        assert shape.name.replace("_", "").isalnum()
        assert len(shape.name) <= 64
