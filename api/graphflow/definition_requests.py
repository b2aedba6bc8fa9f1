"""Request bodies with workflow definitions; errors name the place in the document."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Body
from pydantic import BaseModel, Field, JsonValue, PlainValidator

from activities.graphflow.validation import problem_details
from api.http.request_body import YamlBodies
from domain.errors import Invalid
from domain.graphflow.definition import model as language
from domain.graphflow.definition.documents import definition_from, parse_json, parse_yaml
from domain.graphflow.definition.model import Definition
from domain.graphflow.validation.problems import Problem, Validation

YAML = YamlBodies(re.compile(r"/api/v1/workflows(?:/(?!(?:import|generate)$)[A-Za-z0-9_-]+)?"), parse_yaml, parse_json)
"""Paths whose definitions may be sent as YAML; in both formats a key may occur only once."""
NO_NUL = r"^[^\x00]*$"


def parse_definition(document: Any) -> Definition:
    """Parse a document into a definition.

    Raises:
        Invalid: it is not a definition; `errors` are all problems, up to 50.
    """
    try:
        return definition_from(document)
    except Invalid as error:
        raise Invalid(error.message, **_error_details(problems_of(error))) from error


def problems_of(error: Invalid) -> list[Problem]:
    """Return the problems of a document that is not a definition."""
    found: Iterable[Mapping[str, str]] = error.details.get("problems", ())
    return [Problem("malformed", *_place(each["where"]), each["message"], _FIX) for each in found]


def to_failed_validation(error: Invalid) -> Validation:
    """Return the problems as a validation result."""
    return Validation(tuple(problems_of(error)), (), None)


_PLACE = re.compile(r"^(?:node |edge |nodes\[|edges\[|definition$)")
_FIX = "Follow the schema of the request"


def _place(where: str) -> tuple[str, str]:
    place, _, field = where.partition(": ")
    return (place, field) if _PLACE.match(place) else ("definition", where)


def _error_details(problems: list[Problem]) -> dict[str, Any]:
    errors = [problem_details(problem) for problem in problems]
    return {"field": errors[0]["field"], "reason": errors[0]["reason"], "errors": errors}


class _Changes(BaseModel):
    """Changes to a definition: fields left out stay; `null` removes `output`."""

    name: Annotated[str, Field(min_length=1, max_length=120)] = ""
    description: Annotated[str, Field(max_length=4_000)] = ""
    input: dict[str, JsonValue] = {}
    nodes: Annotated[list[language.Node], Field(min_length=1, max_length=language.MOST_NODES)] = []
    edges: Annotated[list[language.Edge], Field(max_length=language.MOST_EDGES)] = []
    output: str | dict[str, JsonValue] | None = None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid("body: it is not a JSON object", field="body", reason="it is not a JSON object")
    return value


DefinitionBody = Annotated[Definition, PlainValidator(parse_definition, json_schema_input_type=Definition), Body()]
"""A complete definition."""

ChangesBody = Annotated[dict[str, Any], PlainValidator(_object, json_schema_input_type=_Changes), Body()]
"""The fields of a definition that change."""

DocumentBody = Annotated[dict[str, Any], PlainValidator(_object, json_schema_input_type=Definition), Body()]
"""A document that may be a definition."""

ComponentBody = Annotated[dict[str, Any], Body()]
"""A component of another system, in its own format."""
