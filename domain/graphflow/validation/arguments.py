"""Checks of passed values: JSON Schemas are usable, and tools and workflows get the values they require."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.graphflow.definition.model import Definition, MapNode
from domain.graphflow.definition.node_types import AgentWork, ToolWork, WorkflowWork
from domain.graphflow.expressions.cel import BadExpression
from domain.graphflow.expressions.types import type_of_schema
from domain.graphflow.validation.context import ValidationContext, works_of
from domain.graphflow.validation.output_types import OutputTypes, kind_of_value
from domain.graphflow.validation.problems import Problem
from domain.graphflow.validation.template_sites import TemplateSite
from domain.json_schema.validation import unusable_reason


def schemas(definition: Definition) -> Iterator[Problem]:
    """Yield unusable JSON Schemas."""
    yield from _schema("definition", "input", definition.input)
    for node in definition.nodes:
        for field, work in works_of(node):
            if isinstance(work, AgentWork) and work.output is not None:
                yield from _schema(f"node {node.id}", f"{field}output", work.output)


def problems(definition: Definition, known: ValidationContext) -> Iterator[Problem]:
    """Yield missing and unacceptable values of tools and workflows. Unknown names are reported elsewhere."""
    outputs = OutputTypes(definition, known)
    for node in definition.nodes:
        for field, work in works_of(node):
            item = node.item if isinstance(node, MapNode) and field == "node." else None
            for name, schema, values in _passed_values(work, known):
                site = TemplateSite(f"node {node.id}", f"{field}{name}", "template", values, node.id, item=item)
                yield from _values(site, schema, values, outputs)


def _passed_values(
    work: object, known: ValidationContext
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    match work:
        case ToolWork() if work.tool in known.tools:
            yield "arguments", known.tools[work.tool], work.arguments
        case WorkflowWork() if (work.workflow, work.version) in known.workflows:
            yield "input", known.workflows[work.workflow, work.version].input, work.input


def _values(
    site: TemplateSite, schema: Mapping[str, Any], values: Mapping[str, Any], outputs: OutputTypes
) -> Iterator[Problem]:
    declared = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in values:
            yield Problem("missing_value", site.where, site.field, f"{name} is missing", f"Give {site.field}.{name}")
    for name, value in values.items():
        field = f"{site.field}.{name}"
        if name in declared:
            yield from _value(site, field, declared[name], value, outputs)
        elif schema.get("additionalProperties") is False:
            fix = f"Give one of {', '.join(declared)}" if declared else "Leave it out"
            yield Problem("unknown_value", site.where, field, f"{name} is not a parameter", fix)


def _value(site: TemplateSite, field: str, schema: Any, value: Any, outputs: OutputTypes) -> Iterator[Problem]:
    wanted = type_of_schema(schema)
    try:
        given = kind_of_value(outputs, site, value)
    except BadExpression:  # reported where expressions are checked
        return
    if "DYN" not in {wanted, given} and _plain(wanted) != _plain(given):
        message = f"it is {_type_name(given)}, and has to be {_type_name(wanted)}"
        yield Problem("wrong_type", site.where, field, message, "Convert it, as with string(…) or int(…)")


def _plain(kind: str) -> str:
    return kind.partition("<")[0]


def _type_name(kind: str) -> str:
    names = {"STRING": "a text", "INT": "a whole number", "BOOL": "true or false", "DOUBLE": "a number", "NULL": "null"}
    return names.get(kind, "a list" if kind.startswith("LIST") else "an object")


def _schema(where: str, field: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
    if schema.get("type") != "object":
        yield Problem("bad_schema", where, field, "it is not of the type object", "Begin with type: object")
    if reason := unusable_reason(schema):
        fix = "Write it as JSON Schema 2020-12 has it, and refer to its own $defs only"
        yield Problem("bad_schema", where, field, f"it is no JSON Schema ({reason})", fix)
