"""The JSON Schema of a generated workflow, as short as possible: it is part of a prompt, and some windows are small.

It is the published schema of a definition with all node types merged, and without lengths, patterns and required fields
of each type: parsing an answer as a definition checks all of that, with located problems.
"""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]

_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": ["integer", "null"]}
_NUMBER: Json = {"type": ["number", "null"]}
_WORDS: Json = {"type": ["string", "null"]}
_NAMES: Json = {"type": "array", "items": _TEXT}
_OBJECT: Json = {"type": "object"}
_WORK: Json = {"$ref": "#/$defs/work"}
_RISKS = ("low", "medium", "high", "critical")

TYPES = ("agent", "swarm", "tool", "approval", "transform", "map", "wait", "workflow")


def _one_of(*words: str) -> Json:
    return {"enum": list(words)}


def _closed_object(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_WORK_FIELDS: Json = {
    "agent": _TEXT,
    "prompt": _TEXT,
    "tools": {"type": ["array", "null"], "items": _TEXT},
    "output": {"type": ["object", "null"]},
    "approval": {"enum": [*_RISKS, None]},
    "tool": _TEXT,
    "arguments": _OBJECT,
    "set": {"type": "object", "additionalProperties": _TEXT},
    "workflow": _TEXT,
    "version": _COUNT,
    "input": _OBJECT,
}
"""The work that is possible inside a map, or as a compensation."""

_NODE: Json = {
    "id": _TEXT,
    "type": _one_of(*TYPES),
    "title": _WORDS,
    **_WORK_FIELDS,
    "agents": _NAMES,
    "mode": _TEXT,
    "task": _TEXT,
    "coordinator": _WORDS,
    "rounds": _COUNT,
    "content": _TEXT,
    "risk": _one_of(*_RISKS),
    "over": _TEXT,
    "node": _WORK,
    "item": _TEXT,
    "parallel": {"type": "integer"},
    "max_items": {"type": "integer"},
    "on_item_error": _one_of("fail", "continue"),
    "seconds": _NUMBER,
    "until": _WORDS,
    "event": _WORDS,
    "join": {"anyOf": [_one_of("all", "any"), {"type": "integer"}]},
    "max_visits": _COUNT,
    "retry": {
        "type": ["object", "null"],
        "properties": {"attempts": {"type": "integer"}, "pause_s": {"type": "number"}, "backoff": {"type": "number"}},
        "additionalProperties": False,
    },
    "timeout_s": _NUMBER,
    "on_error": {"anyOf": [_one_of("fail", "continue"), _closed_object(["goto"], goto=_TEXT)]},
    "compensate": {"anyOf": [_WORK, {"type": "null"}]},
}

_EDGE: Json = {"from": _TEXT, "to": _TEXT, "when": _WORDS, "otherwise": {"type": "boolean"}}

_DEFINITION = _closed_object(
    ["name", "nodes", "edges"],
    name=_TEXT,
    description=_TEXT,
    input=_OBJECT,
    nodes={"type": "array", "items": _closed_object(["id", "type"], **_NODE), "minItems": 1},
    edges={"type": "array", "items": _closed_object(["from", "to"], **_EDGE)},
    output={"type": ["string", "object", "null"]},
)

_TRACED = _closed_object(
    ["requirement", "nodes", "met", "how"],
    requirement={"type": "integer"},
    nodes=_NAMES,
    met={"type": "boolean"},
    how=_TEXT,
)

SCHEMA: Json = {
    **_closed_object(
        ["definition", "requirements"], definition=_DEFINITION, requirements={"type": "array", "items": _TRACED}
    ),
    "$defs": {"work": _closed_object(["type"], type=_one_of("agent", "tool", "transform", "workflow"), **_WORK_FIELDS)},
}
"""`definition`, and `requirements` by their numbers."""
