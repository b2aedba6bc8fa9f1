"""Whether a text that a person has edited can go on: it is read as what is held is going to be read."""

import json
from typing import Any

from domain.approvals.aggregate import Approval
from domain.content import ContentStore
from domain.json_schema.depth import DEEPEST, is_too_deep
from domain.json_schema.validation import UnusableSchema, flaws

_MOST_FLAWS = 3


def problem_with_edit(kind: str, edited: str, schema: str | None) -> str | None:
    """Why an edited text of something of this `kind` cannot go on, in a sentence; None if it can.

    `schema` is the JSON Schema that it has to follow, as JSON; without one a tool's arguments are any object, and all
    else is any text that says something.
    """
    if not edited.strip():
        return "it says nothing"
    if "\0" in edited:
        return "it holds a NUL character"
    if kind != "tool_call" and schema is None:
        return None
    try:
        value = json.loads(edited)
    except (ValueError, RecursionError):
        value = None
    if kind == "tool_call" and not isinstance(value, dict):
        return "the arguments of a tool are a JSON object"
    return "it has to be JSON" if value is None else _flaw(schema, value)


def edit_schema(content: ContentStore, approval: Approval) -> str | None:
    """The JSON Schema, as JSON, that an edit of what is held has to follow; None where there is none."""
    asked = approval.known
    if asked.schema_hash is None:
        return None
    return content.get(asked.owner, [asked.schema_hash]).get(asked.schema_hash)


def _flaw(schema: str | None, value: Any) -> str | None:
    if is_too_deep(value):
        return f"it is nested more than {DEEPEST} deep"
    if schema is None:
        return None
    try:
        found = flaws(json.loads(schema), value, most=_MOST_FLAWS, older=True)
    except UnusableSchema as error:
        return f"what it has to be like cannot be checked: {error}"
    return "; ".join(map(str, found)) or None
