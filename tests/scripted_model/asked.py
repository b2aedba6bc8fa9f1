"""A request as the provider reads it, and what such a provider does not accept."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Fields = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """The body of request number `nth`."""

    nth: int
    body: Fields

    @property
    def model(self) -> str:
        return str(self.body["model"])

    @property
    def messages(self) -> list[Fields]:
        messages: list[Fields] = self.body["messages"]
        return messages

    @cached_property
    def last(self) -> str:
        """The last message of the user."""
        return next((text_of(said) for said in reversed(self.messages) if said["role"] == "user"), "")

    @cached_property
    def system(self) -> str:
        return "\n".join(text_of(said) for said in self.messages if said["role"] == "system")

    @property
    def role(self) -> str:
        """Whose the last message is."""
        return str(self.messages[-1]["role"]) if self.messages else ""

    @cached_property
    def results(self) -> list[str]:
        """What the tools said, if they are who spoke last."""
        said: list[str] = []
        for message in reversed(self.messages):
            if message["role"] != "tool":
                break
            said.insert(0, text_of(message))
        return said

    @cached_property
    def rounds(self) -> int:
        """How many times tools were asked for since the user spoke."""
        count = 0
        for message in reversed(self.messages):
            if message["role"] == "user":
                break
            count += bool(message.get("tool_calls"))
        return count

    @property
    def tools(self) -> list[str]:
        """The names of the tools that may be called."""
        if self.body.get("tool_choice") == "none":
            return []
        return [str(tool["function"]["name"]) for tool in self.body.get("tools") or ()]

    @property
    def shape(self) -> str | None:
        """The name of the schema that the answer is to follow."""
        asked = self._format
        return str(asked["name"]) if asked else None

    @property
    def schema(self) -> Fields | None:
        asked = self._format
        schema: Fields | None = asked["schema"] if asked else None
        return schema

    @property
    def _format(self) -> Fields | None:
        asked = self.body.get("response_format") or {}
        named: Fields | None = asked.get("json_schema") if asked.get("type") == "json_schema" else None
        return named

    @property
    def prompt_bytes_of_extras(self) -> int:
        """Bytes of JSON that the model has to read besides the texts of the messages."""
        extras = [self.body[name] for name in ("tools", "response_format") if name in self.body]
        extras += [said["tool_calls"] for said in self.messages if said.get("tool_calls")]
        return len(orjson.dumps(extras)) if extras else 0

    def problem(self) -> tuple[str, str] | None:
        """What is wrong with it and where, as strict providers say; None if nothing is."""
        checks = (_tools, _format, _conversation, _told_tools)
        return next((fault for faults in checks for fault in faults(self.body)), None)


def text_of(message: Fields) -> str:
    return str(message.get("content") or "")


def _tools(body: Fields) -> Iterator[tuple[str, str]]:
    if "tools" not in body:
        return
    names = [tool.get("function", {}).get("name") for tool in body["tools"]]
    if not names:
        yield "[] is too short - 'tools'", "tools"
    if any(tool.get("type") != "function" for tool in body["tools"]):
        yield "Missing required parameter: 'tools[0].type'.", "tools"
    if wrong := [name for name in names if not isinstance(name, str) or not _NAME.fullmatch(name)]:
        yield f"Invalid function name {wrong[0]!r}: it does not match the pattern.", "tools"
    if len(set(names)) < len(names):
        yield "Function names must be unique.", "tools"
    parameters = [tool["function"].get("parameters", {"type": "object"}) for tool in body["tools"]]
    if any(schema.get("type") != "object" for schema in parameters):
        yield "Invalid schema for function: schema must have type 'object'.", "tools"


def _format(body: Fields) -> Iterator[tuple[str, str]]:
    asked = body.get("response_format")
    if asked is None:
        return
    shape = asked.get("json_schema") or {}
    if asked.get("type") != "json_schema" or not _NAME.fullmatch(str(shape.get("name", ""))):
        yield "Invalid 'response_format.json_schema.name': it does not match the pattern.", "response_format"
    if shape.get("schema", {}).get("type") != "object":
        yield "Invalid schema for response_format: schema must have type 'object'.", "response_format"


def _conversation(body: Fields) -> Iterator[tuple[str, str]]:
    """Requests are answered one and all, directly after the message that makes them."""
    awaited: list[str] = []
    for number, message in enumerate([*body["messages"], {"role": "the end"}]):
        where = f"messages.[{number}].role"
        if message["role"] == "tool":
            if message.get("tool_call_id") not in awaited:
                yield "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'.", where
            awaited = [id for id in awaited if id != message.get("tool_call_id")]  # noqa: A001  (its name there)
            continue
        if awaited:
            yield f"These tool_call_ids did not have response messages: {', '.join(awaited)}", where
        calls = message.get("tool_calls") or []
        awaited = [call["id"] for call in calls]
        if len(set(awaited)) < len(awaited):
            yield "Duplicate tool call ids.", where
        if not all(_is_object(call["function"]["arguments"]) for call in calls):
            yield "The arguments of a tool call must be a JSON object.", where


def _told_tools(body: Fields) -> Iterator[tuple[str, str]]:
    """Several gateways want to know the tools that messages speak of, whether they may be called or not."""
    if "tools" not in body and any(message.get("tool_calls") for message in body["messages"]):
        yield "Requests which have 'tool_calls' in their messages must define tools.", "tools"


def _is_object(arguments: Any) -> bool:
    try:
        return isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        return False
