"""Checks a text that a person edited: it is parsed exactly as the held text will be."""

import json
from typing import Any

from domain.approvals.aggregate import Approval
from domain.content import ContentStore
from domain.json_schema.depth import DEEPEST, is_too_deep
from domain.json_schema.validation import UnusableSchema, violations

_MOST_FLAWS = 3


def edit_problem(kind: str, edited: str, schema: str | None) -> str | None:
    """Return the reason an edited text of this `kind` is unusable; None if it is usable.

    `schema` is the JSON Schema that it has to follow, as JSON; without one a tool's arguments may be any object, and
    anything else any text that is not empty.
    """
    if not edited.strip():
        return "it is empty"
    if "\0" in edited:
        return "it contains a NUL character"
    if kind != "tool_call" and schema is None:
        return None
    try:
        value = json.loads(edited)
    except (ValueError, RecursionError):
        value = None
    if kind == "tool_call" and not isinstance(value, dict):
        return "the arguments of a tool are a JSON object"
    return "it has to be JSON" if value is None else _schema_problem(schema, value)


def edit_schema(content: ContentStore, approval: Approval) -> str | None:
    """Return the JSON Schema, as JSON, that an edit of the held text has to follow; None where there is none."""
    asked = approval.request
    if asked.schema_hash is None:
        return None
    return content.get(asked.owner, [asked.schema_hash]).get(asked.schema_hash)


def _schema_problem(schema: str | None, value: Any) -> str | None:
    if is_too_deep(value):
        return f"it is nested more than {DEEPEST} deep"
    if schema is None:
        return None
    try:
        found = violations(json.loads(schema), value, most=_MOST_FLAWS, older=True)
    except UnusableSchema as error:
        return f"its schema cannot be used: {error}"
    return "; ".join(map(str, found)) or None
