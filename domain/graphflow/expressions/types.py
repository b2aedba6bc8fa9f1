"""The types of values as expressions see them: derived from JSON Schemas, written in CEL's notation."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cel_expr_python import cel

ValueType = str
"""As in `STRING`, `LIST<STRING>`, `MAP<STRING, DYN>`; `DYN` is a value of any type."""

OBJECT: ValueType = "MAP<STRING, DYN>"

_SCALARS: Mapping[str, Any] = {
    name: getattr(cel.Type, name)
    for name in ("BOOL", "BYTES", "DOUBLE", "DURATION", "DYN", "INT", "NULL", "STRING", "TIMESTAMP", "TYPE", "UINT")
}
_OF_SCHEMA = {"string": "STRING", "integer": "INT", "boolean": "BOOL", "null": "NULL", "object": OBJECT}
_IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_DEEPEST = 6
_MOST = 500


def type_of_schema(schema: Any) -> ValueType:
    """Return the type that a JSON Schema gives a value. A `number` may be an integer or not, so it is `DYN`."""
    if not isinstance(schema, Mapping):
        return "DYN"
    name = schema.get("type")
    if name == "array":
        return f"LIST<{type_of_schema(schema.get('items'))}>"
    return _OF_SCHEMA.get(name, "DYN") if isinstance(name, str) else "DYN"


def types_in(schema: Mapping[str, Any], path: str) -> dict[str, ValueType]:
    """Return the types of a value and its parts, by their paths, as in `input.customer.name`."""
    found: dict[str, ValueType] = {}
    _gather(schema, path, found, 0)
    return found


def numbers_in(schema: Any, path: str, depth: int = 0) -> Iterator[str]:
    """Yield the paths of values that may be integers or not: JSON Schema's type `number`."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    if schema.get("type") == "number":
        yield path
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        yield from numbers_in(inner, f"{path}.{name}", depth + 1)


def cel_type(kind: ValueType) -> Any:
    """Return the library's type; `DYN` for those without a simple one."""
    if kind.startswith("LIST<"):
        return cel.Type.List(cel_type(kind[5:-1]))
    if kind.startswith("MAP<"):
        key, _, value = kind[4:-1].partition(", ")
        return cel.Type.Map(cel_type(key), cel_type(value))
    return _SCALARS.get(kind, cel.Type.DYN)


def _gather(schema: Any, path: str, found: dict[str, ValueType], depth: int) -> None:
    if depth > _DEEPEST or len(found) >= _MOST:
        return
    found[path] = type_of_schema(schema)
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if found[path] == OBJECT and isinstance(properties, Mapping):
        for name, inner in properties.items():
            if _IDENTIFIER.match(name):
                _gather(inner, f"{path}.{name}", found, depth + 1)
