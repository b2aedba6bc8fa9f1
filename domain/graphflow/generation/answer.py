"""Generation of a workflow: the shape of the model's answer, and the problems of an answer."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from domain.answer_shape import AnswerShape
from domain.errors import Invalid
from domain.graphflow.definition.documents import definition_from
from domain.graphflow.definition.model import Definition
from domain.graphflow.generation.schema import SCHEMA
from domain.graphflow.validation.context import KnownWorkflow, ValidationContext
from domain.graphflow.validation.problems import Problem
from domain.graphflow.validation.validate import validate
from domain.json_schema.validation import violations

MOST_REQUIREMENTS = 50
_MOST_LISTED = 10
_MOST_FLAWS = 50
_KINDS = ("agent", "mode", "tool", "for_agents", "workflow", "count")
_LONGEST = 300
"""Limit on one problem, in characters."""


@dataclass(frozen=True, slots=True)
class RequirementTrace:
    """The nodes that meet a requirement, by its number from 1, and how; where it is not met, `how` says why."""

    requirement: int
    nodes: tuple[str, ...]
    met: bool
    how: str


@dataclass(frozen=True, slots=True)
class GeneratedDefinition:
    """A parsed answer. Without a definition the problems say why; with one they may be about the definition."""

    definition: Definition | None = None
    requirements: tuple[RequirementTrace, ...] = ()
    problems: tuple[Problem, ...] = ()


def options(known: ValidationContext, requirements: int) -> tuple[str, ...]:
    """Return the names a definition may use, and the number of requirements, as short texts.

    Of the schemas of tools and workflows only names, types and required fields are kept.
    """
    tools = [f"tool:{name} {_outline(schema)}" for name, schema in known.tools.items()]
    newest = {name: found for (name, version), found in known.workflows.items() if version is None}
    workflows = [f"workflow:{name} {_outline(found.input)}" for name, found in newest.items()]
    agents, modes = [f"agent:{name}" for name in known.agents], [f"mode:{name}" for name in known.modes]
    for_agents = [f"for_agents:{name}" for name in sorted(known.for_agents)]
    return (f"count:{requirements}", *agents, *modes, *tools, *for_agents, *workflows)


def parse_answer(text: str, options: Sequence[str]) -> GeneratedDefinition:
    """Parse an answer and collect all its problems."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return GeneratedDefinition(problems=(_no_json(text, error),))
    fix = "Write it as the schema of the answer says"
    errors = violations(SCHEMA, value, most=_MOST_FLAWS)
    wrong = [Problem("malformed", "answer", each.path, each.message[:_LONGEST], fix) for each in errors]
    return GeneratedDefinition(problems=tuple(wrong)) if wrong else _parse_valid(value, options)


def _no_json(text: str, error: Exception) -> Problem:
    if text.startswith("{") and isinstance(error, json.JSONDecodeError) and not text.rstrip().endswith("}"):
        fix = "Ask for less, or let models answer at greater length (CONVERGIO_MAX_ANSWER_TOKENS)"
        return Problem("cut", "answer", "", f"it ends in its middle, after {len(text):,} characters", fix)
    return Problem("no_json", "answer", "", "it is no JSON", "Answer with one JSON object")


def _parse_valid(value: Mapping[str, Any], options: Sequence[str]) -> GeneratedDefinition:
    """Parse an answer that follows the schema."""
    known, count = _decode_options(options)
    traced = tuple(
        RequirementTrace(int(each["requirement"]), tuple(each["nodes"]), each["met"], each["how"].strip())
        for each in value["requirements"]
    )
    nodes = {node.get("id") for node in value["definition"]["nodes"]}
    untraced = tuple(_trace_problems(traced, count, nodes))
    try:
        definition = definition_from(value["definition"])
    except Invalid as error:
        found = error.details.get("problems", ())
        fix = "Write it as the schema of the answer and the rules say"
        malformed = [Problem("malformed", each["where"], "", each["message"], fix) for each in found]
        return GeneratedDefinition(None, traced, (*malformed, *untraced))
    return GeneratedDefinition(definition, traced, (*validate(definition, known).errors, *untraced))


def _trace_problems(traced: Sequence[RequirementTrace], count: int, nodes: Iterable[str]) -> Iterator[Problem]:
    """Yield problems of requirements that are not traced to existing nodes."""
    there = set(nodes)
    told = [each.requirement for each in traced]
    for number in range(1, count + 1):
        if told.count(number) != 1:
            message = f"it is traced {told.count(number)} times" if number in told else "it is not traced"
            yield _requirement_problem("untraced", number, message, "Give each requirement one entry in requirements")
    for number in dict.fromkeys(each for each in told if not 1 <= each <= count):
        yield _requirement_problem("unknown_requirement", number, "there is no such requirement", "Leave it out")
    for each in traced:
        if missing := [name for name in each.nodes if name not in there]:
            message = f"there is no node {', '.join(missing)}"
            yield _requirement_problem("unknown_node", each.requirement, message, "Name nodes of this definition")
        if each.met and not each.nodes:
            fix = "Name the nodes that meet it, or say met: false"
            yield _requirement_problem("untraced", each.requirement, "it is met by no node", fix)
        if not each.how:
            yield _requirement_problem(
                "unsaid", each.requirement, "how is empty", "Say how it is met, or why it is not"
            )


def _requirement_problem(code: str, number: int, message: str, fix: str) -> Problem:
    return Problem(code, f"requirement {number}", "", message, fix)


def _problem(value: Any, options: Sequence[str]) -> str | None:
    found = _parse_valid(value, options).problems
    told = [_shorten(str(each)) for each in found[:_MOST_LISTED]]
    more = [f"and {len(found) - _MOST_LISTED} more"] if len(found) > _MOST_LISTED else []
    return " ".join([*told, *more]).removesuffix(".") or None


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _decode_options(options: Sequence[str]) -> tuple[ValidationContext, int]:
    """Decode the options. Prices are not included: they do not affect the definition."""
    named: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
    for option in options:
        kind, _, rest = option.partition(":")
        name, _, schema = rest.partition(" ")
        named[kind][name] = json.loads(schema) if schema else {}
    known = ValidationContext(
        agents=dict.fromkeys(named["agent"], Decimal(0)),
        tools=named["tool"],
        modes=dict.fromkeys(named["mode"], lambda members, _: members),
        workflows={(name, None): KnownWorkflow(schema) for name, schema in named["workflow"].items()},
        for_agents=frozenset(named["for_agents"]),
    )
    return known, int(next(iter(named["count"]), 0))


def _outline(schema: Mapping[str, Any]) -> str:
    properties = schema.get("properties")
    typed = {
        name: {"type": one["type"]} if isinstance(one, Mapping) and isinstance(one.get("type"), str) else {}
        for name, one in (properties.items() if isinstance(properties, Mapping) else ())
    }
    kept = {name: schema[name] for name in ("required", "additionalProperties") if name in schema}
    return json.dumps({"properties": typed, **kept}, separators=(",", ":"))


DESIGN = AnswerShape("graphflow.design", lambda _: SCHEMA, problem=_problem)
"""A definition, and the nodes that meet each requirement. The options are those of `options`."""

SHAPES = (DESIGN,)
