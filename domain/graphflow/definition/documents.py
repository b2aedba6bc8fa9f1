"""Definitions as texts: parsed from JSON or YAML, with located errors, and written in one canonical form."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import orjson
import yaml
from pydantic import ValidationError

from domain.errors import Invalid, Malformed
from domain.graphflow.definition.model import Definition

LONGEST_DOCUMENT = 1_000_000
"""Limit on a document, in characters."""
_DEEPEST = 40
_BEYOND_BIGINT = 2**63  # a whole number this large stays a float
_MOST_PROBLEMS = 50


def parse_definition(text: str) -> Definition:
    """Parse a definition from JSON or YAML text.

    Raises:
        Malformed: it is neither; the message says where.
        Invalid: it is no definition. `problems` lists up to 50 as {where, message}.
    """
    if len(text) > LONGEST_DOCUMENT:
        raise Malformed(f"a definition has {LONGEST_DOCUMENT:,} characters at most")
    return definition_from(parse_json(text) if text.lstrip().startswith("{") else parse_yaml(text))


def definition_from(document: Any) -> Definition:
    """Build a definition from parsed values.

    Raises:
        Invalid: as `parse` does.
    """
    try:
        if flaw := _storage_problem(document, 1):
            raise Invalid(flaw, field="", reason=flaw, problems=[{"where": "document", "message": flaw}])
        return Definition.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False)
        told = [each for each in found if each["type"] != "too_short" or not each["input"]] or found
        problems = [_problem(each, document) for each in told[:_MOST_PROBLEMS]]
        first = problems[0]
        message = "; ".join(f"{problem['where']}: {problem['message']}" for problem in problems[:5])
        raise Invalid(message, field=first["where"], reason=first["message"], problems=problems) from None


def document_of(definition: Definition) -> dict[str, Any]:
    """Return the definition as JSON values, without fields at their defaults."""
    whole: dict[str, Any] = _with_integers(definition.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    return whole


def canonical(definition: Definition) -> bytes:
    """Return canonical JSON (RFC 8785). Fields at their default are omitted, so a new field changes no fingerprint."""
    return orjson.dumps(document_of(definition), option=orjson.OPT_SORT_KEYS)


def fingerprint(definition: Definition) -> str:
    """Return the SHA-256, in hex, of the canonical form."""
    return sha256(canonical(definition)).hexdigest()


def _with_integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_integers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _BEYOND_BIGINT
    return int(value) if is_whole else value


def parse_json(text: str) -> Any:
    """Parse JSON text, refusing duplicate keys.

    Raises:
        Malformed: it is no JSON, or a key is duplicate; the message says where.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise Malformed(f"line {error.lineno}, column {error.colno}: this is not JSON ({error.msg})") from None
    except ValueError:
        raise Malformed("a number has too many digits") from None


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        keys = [key for key, _ in pairs]
        raise Malformed(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is duplicate in one object")
    return whole


def _no_constant(name: str) -> Any:
    raise Malformed(f"{name} is no number of JSON")


_OF_TEXTS = "tag:yaml.org,2002:str"


class _JsonYamlLoader(yaml.SafeLoader):
    """YAML restricted to JSON: no tags, dates, duplicate keys, `yes` for true, or aliases.

    Aliases may expand without end.
    """

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _malformed_at("aliases are not supported: write the value out", event.start_mark)
        if event.tag is not None and not (isinstance(event, yaml.ScalarEvent) and event.tag == _OF_TEXTS):
            raise _malformed_at(
                "this is not YAML as JSON allows it: tags are not supported, except !!str", event.start_mark
            )
        if self._depth > _DEEPEST:
            raise _too_deep()
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  (PyYAML's own)
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise _malformed_at("a key has to be a text", key.start_mark)
            if key.value in seen:
                raise _malformed_at(f"the key {key.value!r} is duplicate", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_SCALARS = (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"-?(?:0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", "-0123456789"),
)
_JsonYamlLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _SCALARS:
    _JsonYamlLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _malformed_at(message: str, mark: Any) -> Malformed:
    return Malformed(f"line {mark.line + 1}, column {mark.column + 1}: {message}")


def parse_yaml(text: str) -> Any:
    """Parse YAML text, restricted to the values of JSON.

    Raises:
        Malformed: it is no YAML, or more than JSON has; the message says where.
    """
    try:
        return yaml.load(text, _JsonYamlLoader)  # noqa: S506  (a safe loader, made safer)
    except RecursionError:
        raise _too_deep() from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Malformed(f"{where}this is not YAML ({error.problem})") from None
    except (yaml.YAMLError, ValueError) as error:
        raise Malformed(f"this is not YAML ({error})") from None


def _too_deep() -> Malformed:
    return Malformed(f"the document is nested more than {_DEEPEST} deep")


def _storage_problem(value: Any, depth: int) -> str | None:
    """Return the reason a document cannot be stored, whatever its fields: limits of PostgreSQL and JSON."""
    if depth > _DEEPEST:
        return f"the document is nested more than {_DEEPEST} deep"
    if isinstance(value, str):
        return _text_problem(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "a number is not finite"
    if isinstance(value, int) and abs(value) > 2**53:
        return "a whole number is greater than 2^53"
    return next((flaw for part in _parts(value) if (flaw := _storage_problem(part, depth + 1))), None)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from (part for pair in value.items() for part in pair)
    elif isinstance(value, list):
        yield from value


def _text_problem(text: str) -> str | None:
    if "\x00" in text:
        return "a text contains the character U+0000"
    return "a text contains half a surrogate pair" if any("\ud800" <= each <= "\udfff" for each in text) else None


def _problem(error: Any, document: Any) -> dict[str, str]:
    return {"where": _where(error["loc"], document), "message": _message(error)}


def _message(error: Any) -> str:
    if error["type"] == "union_tag_not_found":
        return "it has no type"
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _where(loc: Sequence[int | str], document: Any) -> str:
    """Return the place, as in `node draft: retry.attempts`; nodes without a readable id by index, as in `nodes[3]`."""
    match loc:
        case ("nodes", int(index), *rest):
            return _with_fields(_node_name(document, index), _fields(rest[1:]))
        case ("edges", int(index), *rest):
            return _with_fields(_edge_name(document, index), _fields(rest))
    return _fields(loc) or "definition"


def _with_fields(name: str, fields: str) -> str:
    return f"{name}: {fields}" if fields else name


def _node_name(document: Any, index: int) -> str:
    node = document["nodes"][index]
    node_id = node.get("id") if isinstance(node, Mapping) else None
    return f"node {node_id}" if isinstance(node_id, str) and node_id else f"nodes[{index}]"


def _edge_name(document: Any, index: int) -> str:
    edge = document["edges"][index]
    ends = [edge.get("from"), edge.get("to")] if isinstance(edge, Mapping) else []
    return f"edge {ends[0]} -> {ends[1]}" if ends and all(isinstance(end, str) for end in ends) else f"edges[{index}]"


def _fields(loc: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
