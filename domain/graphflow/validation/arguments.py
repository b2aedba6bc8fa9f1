"""Checks of passed values: JSON Schemas are usable, and tools and workflows get the values they require."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.graphflow.definition.model import Definition, MapNode
from domain.graphflow.definition.node_types import AgentWork, ToolWork, WorkflowWork
from domain.graphflow.expressions.cel import BadExpression
from domain.graphflow.expressions.types import kind_of
from domain.graphflow.validation.context import Known, works
from domain.graphflow.validation.output_types import Outputs, kind_of_value
from domain.graphflow.validation.problems import Problem
from domain.graphflow.validation.template_sites import Site
from domain.json_schema.validation import why_unusable


def schemas(definition: Definition) -> Iterator[Problem]:
    """Yield unusable JSON Schemas."""
    yield from _schema("definition", "input", definition.input)
    for node in definition.nodes:
        for field, work in works(node):
            if isinstance(work, AgentWork) and work.output is not None:
                yield from _schema(f"node {node.id}", f"{field}output", work.output)


def problems(definition: Definition, known: Known) -> Iterator[Problem]:
    """Yield missing and unacceptable values of tools and workflows. Unknown names are reported elsewhere."""
    outputs = Outputs(definition, known)
    for node in definition.nodes:
        for field, work in works(node):
            item = node.item if isinstance(node, MapNode) and field == "node." else None
            for name, schema, values in _handed(work, known):
                site = Site(f"node {node.id}", f"{field}{name}", "template", values, node.id, item=item)
                yield from _values(site, schema, values, outputs)


def _handed(work: object, known: Known) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    match work:
        case ToolWork() if work.tool in known.tools:
            yield "arguments", known.tools[work.tool], work.arguments
        case WorkflowWork() if (work.workflow, work.version) in known.workflows:
            yield "input", known.workflows[work.workflow, work.version].input, work.input


def _values(site: Site, schema: Mapping[str, Any], values: Mapping[str, Any], outputs: Outputs) -> Iterator[Problem]:
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


def _value(site: Site, field: str, schema: Any, value: Any, outputs: Outputs) -> Iterator[Problem]:
    wanted = kind_of(schema)
    try:
        given = kind_of_value(outputs, site, value)
    except BadExpression:  # reported where expressions are checked
        return
    if "DYN" not in {wanted, given} and _plain(wanted) != _plain(given):
        message = f"it is {_said(given)}, and has to be {_said(wanted)}"
        yield Problem("wrong_type", site.where, field, message, "Convert it, as with string(…) or int(…)")


def _plain(kind: str) -> str:
    return kind.partition("<")[0]


def _said(kind: str) -> str:
    names = {"STRING": "a text", "INT": "a whole number", "BOOL": "true or false", "DOUBLE": "a number", "NULL": "null"}
    return names.get(kind, "a list" if kind.startswith("LIST") else "an object")


def _schema(where: str, field: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
    if schema.get("type") != "object":
        yield Problem("bad_schema", where, field, "it is not of the type object", "Begin with type: object")
    if reason := why_unusable(schema):
        fix = "Write it as JSON Schema 2020-12 has it, and refer to its own $defs only"
        yield Problem("bad_schema", where, field, f"it is no JSON Schema ({reason})", fix)
