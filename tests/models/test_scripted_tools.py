"""The scripted provider with tools and shapes: calls on demand, results quoted, answers that follow their schema."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from adapters.openai.model import OpenAIModel
from domain.chat.model_port import Message, ModelFailure, ModelReply, ModelRequest, ReplySchema, ToolOffer
from tests.models.conftest import asking
from tests.models.test_scripted_model import post
from tests.scripted_model import ScriptedModel
from tests.scripted_model.directives import directives
from tests.scripted_model.shaped import instance

OBJECT = {"type": "object"}
OFFERS = (ToolOffer("find", "Finds.", OBJECT), ToolOffer("count", "Counts.", OBJECT))
VERDICT = ReplySchema(
    "verdict",
    {
        "type": "object",
        "properties": {"winner": {"enum": ["ada", "bob"]}, "why": {"type": "string"}},
        "required": ["winner", "why"],
    },
)


class Talk:
    """A conversation in which every request is answered by `<name> said so`."""

    def __init__(self, model: OpenAIModel, text: str, **more: Any) -> None:
        self._model = model
        self._more = {"tools": OFFERS, **more}
        self.messages: list[Message] = [Message("system", "You are Ada."), Message("user", text)]

    async def step(self) -> ModelReply:
        request = ModelRequest("call.1", "scripted", tuple(self.messages), 4096, **self._more)
        reply = await self._model.complete(request, lambda _: None)
        self.messages.append(Message("assistant", reply.text, reply.tool_calls))
        for call in reply.tool_calls:
            self.messages.append(Message("tool", f"{call.name} said so", tool_call_id=call.id))
        return reply

    async def all(self) -> tuple[list[list[tuple[str, str]]], str]:
        """The calls of each round, and the answer in the end."""
        asked: list[list[tuple[str, str]]] = []
        while (reply := await self.step()).tool_calls:
            asked.append([(call.name, call.arguments) for call in reply.tool_calls])
        return asked, reply.text


async def test_a_call_is_made_once_and_its_result_quoted(model: OpenAIModel) -> None:
    asked, answer = await Talk(model, 'Who? [[call find {"skill": "SQL"}]]').all()
    assert asked == [[("find", '{"skill": "SQL"}')]]
    assert answer == "The tools say: find said so"


async def test_several_calls_are_made_side_by_side_in_their_order(model: OpenAIModel) -> None:
    asked, answer = await Talk(model, '[[call find {"n": 1}]] [[call count]] Who? [[call find {"n": 2}]]').all()
    assert asked == [[("find", '{"n": 1}'), ("count", "{}"), ("find", '{"n": 2}')]]
    assert answer == "The tools say: find said so | count said so | find said so"


async def test_calls_may_come_in_rounds_and_again(model: OpenAIModel) -> None:
    asked, _ = await Talk(model, "Who? [[call find]] [[then count]] [[call find]]").all()
    assert asked == [[("find", "{}")], [("count", "{}"), ("find", "{}")]]
    asked, answer = await Talk(model, "[[again 3]] [[call find]] Who? [[say Nobody.]]").all()
    assert (asked, answer) == ([[("find", "{}")]] * 3, "Nobody.")


async def test_arguments_may_be_garbage(model: OpenAIModel) -> None:
    asked, answer = await Talk(model, "Who? [[badcall find {not json]]").all()
    assert (asked, answer) == ([[("find", "{not json")]], "The tools say: find said so")


async def test_where_no_tools_are_offered_none_is_asked_for(model: OpenAIModel) -> None:
    asked, answer = await Talk(model, "Who? [[call find]]", tools=()).all()
    assert (asked, answer) == ([], "I have seen 2 messages. The last one says: Who?")


async def test_calls_come_in_pieces_with_delays_and_are_cut(provider: ScriptedModel, model: OpenAIModel) -> None:
    asked, _ = await Talk(model, '[[pace 0.001]] [[call find {"skill": "SQL"}]]').all()
    assert asked == [[("find", '{"skill": "SQL"}')]]
    with pytest.raises(ModelFailure) as caught:
        await Talk(model, '[[call find {"skill": "SQL"}]] [[cut 2]]').step()
    assert (caught.value.kind, caught.value.charge) == ("cut", "partial")
    assert provider.bill()[-1]["calls"] == ["find"]


def test_without_streaming_calls_are_in_the_message(provider: ScriptedModel) -> None:
    tools = [{"type": "function", "function": {"name": "find", "parameters": OBJECT}}]
    message = {"role": "user", "content": '[[call find {"a": [[1], [2]]}]]'}
    told: Any = post(provider, {"model": "m", "messages": [message], "tools": tools})
    (choice,) = told["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"] == [
        {"id": "call_1_0", "type": "function", "function": {"name": "find", "arguments": '{"a": [[1], [2]]}'}}
    ]


async def test_a_rule_may_ask_for_tools(provider: ScriptedModel, model: OpenAIModel) -> None:
    provider.script(
        {"contains": "Who", "calls": [{"name": "find", "arguments": {"n": 1}}], "text": "Let me see.", "times": None},
        {"role": "tool", "system": "Ada", "calls": [{"name": "count", "arguments": "{oh"}]},
    )
    talk = Talk(model, "Who?")
    first, second, third = await talk.step(), await talk.step(), await talk.step()
    assert (first.text, [call.arguments for call in first.tool_calls]) == ("Let me see.", ['{"n":1}'])
    assert [(call.name, call.arguments) for call in second.tool_calls] == [("count", "{oh")]
    assert (third.text, third.tool_calls) == ("The tools say: count said so", ())


async def test_rules_look_at_tools_shape_system_and_who_spoke_last(provider: ScriptedModel, model: OpenAIModel) -> None:
    provider.script(
        {"wants": "nothing", "text": "never"},
        {"shape": "verdict", "text": '{"winner": "bob"}'},
        {"wants": "count", "role": "user", "text": "I can count."},
        {"system": "Bob", "text": "never"},
        {"system": "Ada", "role": "user", "text": "I am Ada."},
    )
    assert (await Talk(model, "Who?", reply_schema=VERDICT).step()).text == '{"winner": "bob"}'
    assert (await Talk(model, "Who?").step()).text == "I can count."
    assert (await Talk(model, "Who?").step()).text == "I am Ada."


async def test_an_answer_follows_its_schema_unless_it_is_told_otherwise(model: OpenAIModel) -> None:
    said = (await Talk(model, "Who?", reply_schema=VERDICT, tools=()).step()).text
    assert orjson.loads(said) == {"winner": "ada", "why": "scripted why"}
    told = Talk(model, 'Who? [[say {"winner": "bob", "why": "[[of course]]"}]]', reply_schema=VERDICT)
    assert orjson.loads((await told.step()).text) == {"winner": "bob", "why": "[[of course]]"}
    after = Talk(model, "Who? [[call find]]", reply_schema=VERDICT)
    assert orjson.loads((await after.all())[1]) == {"winner": "ada", "why": "scripted why"}


async def test_the_bill_shows_what_was_offered_and_asked(provider: ScriptedModel, model: OpenAIModel) -> None:
    await Talk(model, "Who? [[call find]] [[call count]]", reply_schema=VERDICT).step()
    await model.complete(asking(), lambda _: None)
    bill = provider.bill()
    assert [(entry["tools"], entry["shape"], entry["calls"]) for entry in bill] == [
        (["find", "count"], "verdict", ["find", "count"]),
        ([], None, []),
    ]
    assert bill[0]["prompt_tokens"] > bill[1]["prompt_tokens"] + 40
    assert bill[0]["completion_tokens"] == 2 + 2


@pytest.mark.parametrize(
    ("setting", "extra"), [("no_tools", {}), ("no_shapes", {"tools": (), "reply_schema": VERDICT})]
)
async def test_tools_and_shapes_are_refused_on_demand(
    provider: ScriptedModel, model: OpenAIModel, setting: str, extra: dict[str, Any]
) -> None:
    provider.script(**{setting: True})
    with pytest.raises(ModelFailure) as caught:
        await Talk(model, "Who?", **extra).step()
    assert (caught.value.kind, caught.value.charge) == ("unsupported", "none")
    assert provider.bill()[0]["state"] == "refused"
    await model.complete(asking(), lambda _: None)


UNANSWERED = [
    {"role": "user", "content": "?"},
    {
        "role": "assistant",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
]
RESULT = {"role": "tool", "tool_call_id": "a", "content": "!"}
FIND = {"type": "function", "function": {"name": "find", "parameters": OBJECT}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"messages": UNANSWERED}, "did not have response messages: a"),
        ({"messages": [*UNANSWERED, {"role": "user", "content": "?"}, RESULT]}, "did not have response messages: a"),
        ({"messages": [RESULT]}, "must be a response to a preceding message"),
        ({"messages": [*UNANSWERED, RESULT, RESULT]}, "must be a response to a preceding message"),
        ({"tools": []}, "too short"),
        ({"tools": [FIND, FIND]}, "unique"),
        ({"tools": [{"type": "function", "function": {"name": "a.b"}}]}, "pattern"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, "type 'object'"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a.b", "schema": OBJECT}}}, "pattern"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}}, "type 'object'"),
    ],
)
def test_it_is_as_strict_as_the_strictest(provider: ScriptedModel, body: dict[str, Any], told: str) -> None:
    answered: Any = post(provider, {"model": "m", "messages": [{"role": "user", "content": "?"}], **body})
    assert told in answered["error"]["message"]


def test_a_setting_that_is_none_is_refused(provider: ScriptedModel) -> None:
    with pytest.raises(ValueError, match="no_tool"):
        provider.script(no_tool=True)


@pytest.mark.parametrize(
    ("text", "words", "plain"),
    [
        ('[[call f {"a": "]]", "b": {"c": [[1]]}}]] hi', [["call", "f", '{"a": "]]", "b": {"c": [[1]]}}']], "hi"),
        ("hi [[call f]][[then g {}]]  ", [["call", "f", "{}"], ["then", "g", "{}"]], "hi"),
        ("[[ delay 1 ]] hi [[call mcp__f [1] ]]", [["delay", "1"], ["call", "mcp__f", "[1]"]], "hi"),
        ('hi [[say {"a": [[]]}]]', [["say", '{"a": [[]]}']], "hi"),
        ("[[say Well, [this] is it.]] hi", [["say", "Well, [this] is it."]], "hi"),
        ("hi [[badcall f {]]", [["badcall", "f", "{"]], "hi"),
        ("[[call f {oh}]] hi", [], "[[call f {oh}]] hi"),
        ("[[1, 2], [3]] is a list", [], "[[1, 2], [3]] is a list"),
        ("said [[hang]] and [[call f]] there", [], "said [[hang]] and [[call f]] there"),
        ("said [[hang]] and then [[tokens 3]]", [["tokens", "3"]], "said [[hang]] and then"),
        ("[[call f", [], "[[call f"),
    ],
)
def test_directives_are_told_from_text(text: str, words: list[list[str]], plain: str) -> None:
    assert directives(text) == (words, plain)


@given(st.text('[]{}" acel:1\\', max_size=40))
def test_no_text_breaks_the_reading_of_directives(text: str) -> None:
    found, plain = directives(text)
    assert found or plain == text


SCHEMAS: list[dict[str, Any]] = [
    {"type": "object"},
    {"type": "object", "properties": {"a": {}, "b": {"type": ["null", "integer"]}}, "required": ["a", "b"]},
    {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3, "multipleOf": 2}}, "required": ["n"]},
    {"type": "object", "properties": {"n": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}}, "required": ["n"]},
    {"type": "object", "properties": {"n": {"type": "integer", "maximum": -3}}, "required": ["n"]},
    {"type": "object", "properties": {"s": {"type": "string", "minLength": 30}}, "required": ["s"]},
    {"type": "object", "properties": {"s": {"type": "string", "maxLength": 5}}, "required": ["s"]},
    {"type": "object", "properties": {"ok": {"type": "boolean"}, "no": {"const": 7}}, "required": ["ok", "no"]},
    {
        "type": "object",
        "$defs": {"part": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}},
        "properties": {
            "parts": {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"$ref": "#/$defs/part"}},
            "who": {"type": "array", "minItems": 2, "uniqueItems": True, "items": {"enum": ["a", "b", "c"]}},
            "one": {"anyOf": [{"$ref": "#/$defs/part"}, {"type": "null"}]},
            "both": {
                "allOf": [{"$ref": "#/$defs/part"}, {"properties": {"n": {"type": "integer"}}, "required": ["n"]}]
            },
        },
        "required": ["parts", "who", "one", "both"],
        "additionalProperties": False,
    },
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_smallest_answer_is_a_valid_one(schema: dict[str, Any]) -> None:
    Draft202012Validator(schema).validate(instance(schema))
    assert instance(schema) == instance(schema)


def test_items_of_a_list_are_told_apart() -> None:
    found = instance(SCHEMAS[-1])
    assert found["parts"] == [{"id": "scripted id"}, {"id": "scripted id 2"}, {"id": "scripted id 3"}]
    assert found["who"] == ["a", "b"]
