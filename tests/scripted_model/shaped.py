"""The smallest answer that follows a JSON Schema, always the same for the same schema."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

Schema = dict[str, Any]

FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "uri": "https://scripted.example",
    "email": "scripted@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in an answer a value stands: under which name, and as which item (from 0) of a list."""

    root: Schema
    name: str = "answer"
    nth: int = 0


def instance(schema: Schema) -> Any:
    """What is required and no more: first choices, least numbers, strings that say where they stand.

    Items of a list are told apart: `scripted topic`, `scripted topic 2`; of an `enum` they take one after the other.
    """
    return _value(schema, Place(schema))


def _value(schema: Any, place: Place) -> Any:
    schema = _resolved(schema, place.root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][place.nth % len(schema["enum"])]
    named = schema.get("type") or ("object" if "properties" in schema else "array" if "items" in schema else "string")
    kind = next((one for one in named if one != "null"), "null") if isinstance(named, list) else named
    return TYPES[kind](schema, place)


def _resolved(schema: Any, root: Schema) -> Schema:
    """The schema with its reference, its first alternative and all its parts put in."""
    if not isinstance(schema, dict):
        return {}
    while "$ref" in schema:
        found: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    parts = [*schema.get("allOf", ()), *schema.get("anyOf", ())[:1], *schema.get("oneOf", ())[:1]]
    for part in parts:
        schema = _merged(schema, _resolved(part, root))
    return schema


def _merged(one: Schema, other: Schema) -> Schema:
    properties = {**one.get("properties", {}), **other.get("properties", {})}
    required = [*one.get("required", ()), *other.get("required", ())]
    whole = {**other, **one}
    return {**whole, "properties": properties, "required": required} if properties else whole


def _object(schema: Schema, place: Place) -> Any:
    properties = schema.get("properties", {})
    return {name: _value(properties.get(name, {}), replace(place, name=name)) for name in schema.get("required", ())}


def _array(schema: Schema, place: Place) -> Any:
    first = schema.get("prefixItems", [])
    items = [*first, *[schema.get("items", {})] * (schema.get("minItems", 0) - len(first))]
    return [_value(item, replace(place, nth=nth)) for nth, item in enumerate(items)]


def _string(schema: Schema, place: Place) -> Any:
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    text = f"scripted {place.name}" + (f" {place.nth + 1}" if place.nth else "")
    return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _integer(schema: Schema, place: Place) -> Any:
    step = schema.get("multipleOf", 1)
    least = max(schema.get("minimum", -1e9), schema.get("exclusiveMinimum", -1e9) + 1)
    most = min(schema.get("maximum", 1e9), schema.get("exclusiveMaximum", 1e9) - 1)
    first = ceil(min(max(0, least), most) / step) * step
    return first + place.nth * step if first + place.nth * step <= most else first


def _number(schema: Schema, place: Place) -> Any:
    over, under = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if over is None and under is None:
        return _integer(schema, place)
    least, most = (over, schema.get("minimum", -1.0)), (under, schema.get("maximum", 1e9))
    low, high = (first if first is not None else second for first, second in (least, most))
    return (low + min(high, low + 2)) / 2


TYPES: dict[str, Callable[[Schema, Place], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda _schema, _place: False,
    "null": lambda _schema, _place: None,
}
