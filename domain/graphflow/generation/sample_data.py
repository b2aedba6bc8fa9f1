"""Sample values for a rehearsal: the least that a JSON Schema requires, and texts that name what they stand for."""

from collections.abc import Mapping
from typing import Any

_DEEPEST = 12
_MOST_PARTS = 2_000
_MOST_ITEMS = 3
_LONGEST = 1_000


def instance(schema: Any, name: str) -> Any:
    """Return a small value of this schema, as far as the schema determines it; texts are `name` in brackets."""
    return _SampleBuilder(schema).of(schema, name, 0)


class _SampleBuilder:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._parts = 0

    def of(self, schema: Any, name: str, depth: int) -> Any:
        self._parts += 1
        if depth > _DEEPEST or self._parts > _MOST_PARTS:
            return None
        if not isinstance(schema, Mapping):
            return f"[{name}]"
        for word in ("const", "default"):
            if word in schema:
                return schema[word]
        if (allowed := schema.get("enum")) and isinstance(allowed, list):
            return allowed[0]
        if (inner := self._inner_schema(schema)) is not None:
            return self.of(inner, name, depth + 1)
        return self._of_type(schema, name, depth)

    def _inner_schema(self, schema: Mapping[str, Any]) -> Any:
        """Return the schema that this one refers to, or the first of its alternatives."""
        if isinstance(reference := schema.get("$ref"), str):
            return self._resolve(reference)
        for word in ("anyOf", "oneOf", "allOf"):
            if (choices := schema.get(word)) and isinstance(choices, list) and "properties" not in schema:
                return choices[0]
        return None

    def _resolve(self, reference: str) -> Any:
        found = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(part, {}) if isinstance(found, Mapping) and part else found
        return found

    def _of_type(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:  # noqa: PLR0911  (one return for each type)
        kind = schema.get("type")
        match kind[0] if isinstance(kind, list) and kind else kind:
            case "object":
                return self._object(schema, name, depth)
            case "array":
                many = min(_MOST_ITEMS, max(1, _whole(schema.get("minItems"))))
                return [
                    self.of(schema.get("items", {}), f"{name} {number}", depth + 1) for number in range(1, many + 1)
                ]
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return True
            case "null":
                return None
            case None if "properties" in schema:
                return self._object(schema, name, depth)
        least = min(_LONGEST, _whole(schema.get("minLength")))
        most = min(_LONGEST, _whole(schema.get("maxLength")) or _LONGEST)
        return f"[{name}]".ljust(least, ".")[:most]

    def _object(self, schema: Mapping[str, Any], name: str, depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        declared = properties if isinstance(properties, Mapping) else {}
        made = {key: self.of(each, f"{name}.{key}", depth + 1) for key, each in declared.items()}
        required = [key for key in schema.get("required", ()) if isinstance(key, str)]
        return {**{key: f"[{name}.{key}]" for key in required}, **made}


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _number(schema: Mapping[str, Any]) -> Any:
    for word, more in (("minimum", 0), ("exclusiveMinimum", 1), ("maximum", 0), ("exclusiveMaximum", -1)):
        if isinstance(least := schema.get(word), int | float):
            return least + more
    return 1
