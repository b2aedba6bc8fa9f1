"""The documents in the scope of a search, as a condition in SQL on `knowledge_documents AS d`."""

from collections.abc import Iterator
from typing import Any

from psycopg.types.json import Jsonb

from domain.knowledge.filters import AnyOf, Condition, DateRange, Range
from domain.knowledge.index import Scope
from domain.knowledge.policy import USER_PREFIX

_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def documents_in(scope: Scope) -> tuple[str, dict[str, Any]]:
    """Return the condition and its parameters. Values of callers are parameters only."""
    values: dict[str, Any] = {"tenant_id": scope.tenant_id}
    parts = ["d.tenant_id = %(tenant_id)s"]
    if scope.collections:
        parts.append("d.collection = ANY(%(collections)s)")
        values["collections"] = list(scope.collections)
    else:
        parts.append("NOT starts_with(d.collection, %(user_prefix)s)")
        values["user_prefix"] = USER_PREFIX
    if scope.document_ids:
        parts.append("d.document_id = ANY(%(document_ids)s)")
        values["document_ids"] = list(scope.document_ids)
    for number, condition in enumerate(scope.conditions):
        parts += _parts(condition, f"c{number}", values)
    return " AND ".join(parts), values


def _parts(condition: Condition, name: str, values: dict[str, Any]) -> Iterator[str]:
    match condition:
        case AnyOf():
            yield _any_of(condition, name, values)
        case Range():
            values[name] = condition.field
            yield from _range(condition, name, values)
        case DateRange(first=first, last=last):
            for day, sign, end in ((first, ">=", "first"), (last, "<=", "last")):
                if day is not None:
                    values[f"{name}_{end}"] = day
                    yield f"d.dated {sign} %({name}_{end})s"


def _any_of(condition: AnyOf, name: str, values: dict[str, Any]) -> str:
    """Equality with a value, or a list that contains it. Null stands for a field that is absent, too."""
    found = []
    for place, value in enumerate(condition.values):
        for form, each in (("v", value), ("l", [value])):
            values[f"{name}_{form}{place}"] = Jsonb({condition.field: each})
            found.append(f"d.metadata @> %({name}_{form}{place})s")
        if value is None:
            values[f"{name}_f{place}"] = condition.field
            found.append(f"d.metadata -> %({name}_f{place})s IS NULL")
    return f"({' OR '.join(found)})"


def _range(condition: Range, name: str, values: dict[str, Any]) -> Iterator[str]:
    is_text = isinstance(condition.bounds[0][1], str)
    yield f"jsonb_typeof(d.metadata -> %({name})s) = '{'string' if is_text else 'number'}'"
    for operator, bound in condition.bounds:
        at = f"{name}_{operator}"
        values[at] = bound if is_text else Jsonb(bound)
        sign = _SIGNS[operator]
        if is_text:
            yield f'(d.metadata ->> %({name})s) COLLATE "C" {sign} %({at})s'
        else:
            yield f"(d.metadata -> %({name})s) {sign} %({at})s"
