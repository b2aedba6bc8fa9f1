"""Tools and shapes over real HTTP: how they are asked for, and requests in every form that servers send them in."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.openai.model import OpenAIModel
from adapters.openai.tools import Requests, one_object
from domain.chat.model_port import (
    Message,
    ModelFailure,
    ModelReply,
    ModelRequest,
    ReplySchema,
    ToolOffer,
    ToolRequest,
    Usage,
)
from tests.models.conftest import KEY, asking
from tests.scripted_model import ScriptedModel

PARAMETERS = {"type": "object", "properties": {"skill": {"type": "string"}}, "required": ["skill"]}
TALENTS = ToolOffer("find_talents", "Finds talents by what they can do.", PARAMETERS)
COSTS = ToolOffer("query_costs", "Reads the books.", MappingProxyType({"type": "object"}))
VERDICT = ReplySchema("verdict", {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]})
ADA = ToolRequest("call_a", "find_talents", '{"skill":"SQL"}')
BOB = ToolRequest("call_b", "find_talents", '{"skill":"Go"}')
STREAM = {"Content-Type": "text/event-stream"}


def asking_with(*messages: Message, tools: tuple[ToolOffer, ...] = (TALENTS,), **more: Any) -> ModelRequest:
    return ModelRequest("call.1", "scripted", messages or asking().messages, 4096, tools=tools, **more)


def piece(id: str | None = None, name: str | None = None, arguments: Any = None, **more: Any) -> dict[str, Any]:  # noqa: A002  (its name there)
    """One element of `delta.tool_calls`, without what is None."""
    fields = {"name": name, "arguments": arguments}
    function = {key: value for key, value in fields.items() if value is not None}
    return {**({"id": id} if id is not None else {}), **({"function": function} if function else {}), **more}


def chunk(*pieces: dict[str, Any], finish: str | None = None, **delta: Any) -> str:
    delta = {**delta, "tool_calls": list(pieces)} if pieces else delta
    body = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return f"data: {orjson.dumps(body).decode()}\n\n"


def raw(*chunks: str) -> dict[str, Any]:
    return {"raw": "".join(chunks) + "data: [DONE]\n\n", "headers": STREAM}


async def reply_to(provider: ScriptedModel, model: OpenAIModel, *chunks: str) -> ModelReply:
    provider.script(raw(*chunks))
    return await model.complete(asking_with(), lambda _: None)


async def test_tools_and_the_shape_are_sent_as_the_api_names_them(provider: ScriptedModel, model: OpenAIModel) -> None:
    await model.complete(asking_with(tools=(TALENTS, COSTS), reply_schema=VERDICT), lambda _: None)
    (sent,) = provider.requests()
    assert sent["tools"] == [
        {
            "type": "function",
            "function": {"name": offer.name, "description": offer.description, "parameters": dict(offer.parameters)},
        }
        for offer in (TALENTS, COSTS)
    ]
    assert sent["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "verdict", "schema": VERDICT.schema},
    }


async def test_nothing_is_said_of_tools_or_shapes_where_there_are_none(
    provider: ScriptedModel, model: OpenAIModel
) -> None:
    await model.complete(asking(), lambda _: None)
    (sent,) = provider.requests()
    assert not sent.keys() & {"tools", "response_format", "tool_choice"}


async def test_requests_and_results_go_back_as_they_came(provider: ScriptedModel, model: OpenAIModel) -> None:
    messages = (
        Message("user", "Who knows SQL?"),
        Message("assistant", "Let me see.", (ADA,)),
        Message("tool", "Ada does.", tool_call_id="call_a"),
        Message("assistant", "", (BOB,)),
        Message("tool", "Bob does.", tool_call_id="call_b"),
    )
    await model.complete(asking_with(*messages), lambda _: None)
    sent = provider.requests()[0]["messages"]
    assert [said["role"] for said in sent] == ["user", "assistant", "tool", "assistant", "tool"]
    assert [said["content"] for said in sent] == ["Who knows SQL?", "Let me see.", "Ada does.", None, "Bob does."]
    assert sent[1]["tool_calls"] == [
        {"id": "call_a", "type": "function", "function": {"name": "find_talents", "arguments": '{"skill":"SQL"}'}}
    ]
    assert [said.get("tool_call_id") for said in sent] == [None, None, "call_a", None, "call_b"]


@pytest.mark.parametrize("written", ["", "{", '{"skill": SQL}', "[1]", "7", '"SQL"'])
async def test_arguments_that_are_no_object_go_back_inside_one(
    provider: ScriptedModel, model: OpenAIModel, written: str
) -> None:
    request = ToolRequest("call_a", "find_talents", written)
    messages = (Message("user", "?"), Message("assistant", "", (request,)), Message("tool", "?", tool_call_id="call_a"))
    await model.complete(asking_with(*messages), lambda _: None)
    (call,) = provider.requests()[0]["messages"][1]["tool_calls"]
    assert orjson.loads(call["function"]["arguments"]) == {"unreadable": written}


FORMS: dict[str, tuple[str, ...]] = {
    "in pieces": (
        chunk(piece("call_a", "find_talents", "", index=0, type="function"), role="assistant", content=None),
        chunk(piece(arguments='{"skill":', index=0)),
        chunk(piece(arguments='"SQL"}', index=0)),
        chunk(piece("call_b", "find_talents", "", index=1, type="function")),
        chunk(piece(arguments='{"skill":"Go"}', index=1)),
        chunk(finish="tool_calls"),
    ),
    "woven into each other": (
        chunk(piece("call_a", "find_talents", '{"ski', index=0), piece("call_b", "find_talents", '{"skill"', index=1)),
        chunk(piece(arguments=':"Go"}', index=1), piece(arguments='ll":"SQL"}', index=0)),
        chunk(finish="tool_calls"),
    ),
    "whole, in one chunk, with the reason": (
        chunk(
            piece("call_a", "find_talents", '{"skill":"SQL"}', index=0),
            piece("call_b", "find_talents", '{"skill":"Go"}', index=1),
            finish="tool_calls",
        ),
    ),
    "without numbers": (
        chunk(piece("call_a", "find_talents", '{"skill":"SQL"}')),
        chunk(piece("call_b", "find_talents", '{"skill":')),
        chunk(piece(arguments='"Go"}')),
        chunk(finish="stop"),
    ),
    "all numbered 0": (
        chunk(piece("call_a", "find_talents", '{"skill":"SQL"}', index=0)),
        chunk(piece("call_b", "find_talents", '{"skill":"Go"}', index=0)),
        chunk(finish="stop"),
    ),
    "with the name in every piece": (
        chunk(piece("call_a", "find_talents", '{"skill":', index=0)),
        chunk(piece("call_a", "find_talents", '"SQL"}', index=0)),
        chunk(piece("call_b", "find_talents", '{"skill":"Go"}', index=1)),
        chunk(piece("call_b", "find_talents", "", index=1), finish="function_call"),
    ),
    "with another id in every piece": (
        chunk(piece("call_a", "find_talents", index=0)),
        chunk(piece("other_1", arguments='{"skill":"SQL"}', index=0)),
        chunk(piece("call_b", "find_talents", index=1)),
        chunk(piece("other_2", arguments='{"skill":"Go"}', index=1)),
    ),
    "with the id in a later piece": (
        chunk(piece(name="find_talents", arguments='{"skill":', index=0)),
        chunk(piece("call_a", arguments='"SQL"}', index=0)),
        chunk(piece("call_b", "find_talents", '{"skill":"Go"}', index=1), finish="tool_calls"),
    ),
    "with arguments as an object": (
        chunk(piece("call_a", "find_talents", {"skill": "SQL"})),
        chunk(piece("call_b", "find_talents", {"skill": "Go"}), finish="tool_calls"),
    ),
    "after pieces that hold nothing": (
        chunk(piece("call_a", "find_talents", '{"skill":"SQL"}', index=0)),
        chunk({"index": 0, "function": None}, {"index": 0, "id": None, "function": {"name": None, "arguments": None}}),
        chunk(piece("call_b", "find_talents", '{"skill":"Go"}', index=1), finish="tool_calls"),
    ),
}


@pytest.mark.parametrize("form", FORMS)
async def test_requests_are_put_together_whatever_form_they_come_in(
    provider: ScriptedModel, model: OpenAIModel, form: str
) -> None:
    reply = await reply_to(provider, model, *FORMS[form])
    assert reply.tool_calls == (ADA, BOB)
    assert (reply.text, reply.finish) == ("", "tool_calls")


@pytest.mark.parametrize("index", [{"index": 0}, {}])
async def test_a_request_without_an_id_gets_one(
    provider: ScriptedModel, model: OpenAIModel, index: dict[str, int]
) -> None:
    first, second = piece(name="a", arguments='{"n":1}', **index), piece(name="a", arguments='{"n":2}', **index)
    reply = await reply_to(provider, model, chunk(first), chunk(second), chunk(piece("", "b", **index)))
    assert reply.tool_calls == (
        ToolRequest("call_0", "a", '{"n":1}'),
        ToolRequest("call_1", "a", '{"n":2}'),
        ToolRequest("call_2", "b", "{}"),
    )


async def test_an_id_that_two_requests_share_is_given_to_the_first(provider: ScriptedModel, model: OpenAIModel) -> None:
    twice = (piece("same", "a", "{}", index=0), piece("same", "b", "{}", index=1))
    reply = await reply_to(provider, model, chunk(*twice))
    assert [request.id for request in reply.tool_calls] == ["same", "call_1"]


async def test_text_beside_a_request_is_kept(provider: ScriptedModel, model: OpenAIModel) -> None:
    reply = await reply_to(provider, model, chunk(content="Let me see."), chunk(piece("x", "a", "{}"), finish="stop"))
    assert (reply.text, reply.finish, len(reply.tool_calls)) == ("Let me see.", "tool_calls", 1)


@pytest.mark.parametrize("finish", ["tool_calls", "function_call"])
async def test_a_finish_that_promises_requests_and_brings_none_is_no_request(
    provider: ScriptedModel, model: OpenAIModel, finish: str
) -> None:
    reply = await reply_to(provider, model, chunk(content="Done."), chunk(piece(arguments="{}"), finish=finish))
    assert (reply.text, reply.finish, reply.tool_calls) == ("Done.", "other", ())


async def test_where_the_provider_does_not_count_requests_count_by_their_bytes(
    provider: ScriptedModel, model: OpenAIModel
) -> None:
    reply = await reply_to(provider, model, *FORMS["in pieces"])
    asked = sum(len(request.name) + len(request.arguments) for request in (ADA, BOB))
    assert reply.usage.completion_tokens == -(-asked // 4)
    plain = (await model.complete(asking("[[nousage]]"), lambda _: None)).usage.prompt_tokens
    assert reply.usage.prompt_tokens > plain + len(orjson.dumps(PARAMETERS)) // 4


async def test_a_request_that_is_cut_off_is_charged_in_part(provider: ScriptedModel, model: OpenAIModel) -> None:
    begun = chunk(piece("call_a", "find_talents", '{"skill":"S', index=0))
    provider.script({"raw": begun, "headers": STREAM})
    with pytest.raises(ModelFailure) as caught:
        await model.complete(asking_with(tools=()), lambda _: None)
    assert (caught.value.kind, caught.value.charge) == ("cut", "partial")
    assert caught.value.usage == Usage(4, 6, estimated=True)


@pytest.mark.parametrize(
    "pieces",
    [{"function": {"name": "a"}}, ["a"], [{"function": "a"}], [piece(7, "a")], [piece("x", 7)], [piece("x", "a", 7)]],  # type: ignore[arg-type, list-item]
)
async def test_requests_that_are_not_of_the_protocol_are_unreadable(
    provider: ScriptedModel, model: OpenAIModel, pieces: Any
) -> None:
    body = orjson.dumps({"id": "c", "choices": [{"delta": {"tool_calls": pieces}}]}).decode()
    provider.script(raw(f"data: {body}\n\n"))
    with pytest.raises(ModelFailure) as caught:
        await model.complete(asking_with(), lambda _: None)
    assert caught.value.kind == "unreadable"


@given(st.lists(st.sampled_from([ADA, BOB]), max_size=5), st.data())
def test_wherever_the_arguments_are_cut_they_come_together(requests: list[ToolRequest], data: st.DataObject) -> None:
    arriving = Requests()
    for index, request in enumerate(requests):
        arriving.add([piece(f"id_{index}", request.name, "", index=index)])
        rest = request.arguments
        while rest:
            size = data.draw(st.integers(1, len(rest)))
            arriving.add([piece(arguments=rest[:size], index=index)])
            rest = rest[size:]
    assert [(asked.name, asked.arguments) for asked in arriving.all()] == [(r.name, r.arguments) for r in requests]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": 1}{"a":1}', '{"a": 1}'),
        ('{}{}{"a":{"b":"}{"}}', '{"a":{"b":"}{"}}'),
        ('{"a":1}\n{}', '{"a":1}'),
        ("{}{}", "{}"),
        ('{"a":12345678901234567890123}{"a":12345678901234567890123}', '{"a":12345678901234567890123}'),
    ],
)
def test_arguments_that_are_told_again_count_once(written: str, meant: str) -> None:
    assert one_object(written) == meant


@pytest.mark.parametrize(
    "written",
    ['{"a":1}{"a":2}', '{"a":1}{"a"', '{"a":1}]', "{}[]", "1 1", "", '{"a":' * 400_000, "{}" * 400_000, '{"a":1} x'],
)
def test_arguments_of_which_nobody_can_say_what_is_meant_stay_as_they_are(written: str) -> None:
    assert one_object(written) == written


def with_tools() -> ModelRequest:
    return asking_with()


def with_shape() -> ModelRequest:
    return asking_with(tools=(), reply_schema=VERDICT)


def with_both() -> ModelRequest:
    return asking_with(reply_schema=VERDICT)


EXTRA = [{"type": "extra_forbidden", "loc": ["body", "response_format"], "msg": "Extra inputs are not permitted"}]
UNSUPPORTED: list[tuple[Callable[[], ModelRequest], int, object]] = [
    (with_tools, 400, {"message": "registry.ollama.ai/library/gemma:2b does not support tools"}),
    (with_tools, 400, {"message": "Tool calling is not supported for model: small", "param": "tools"}),
    (with_tools, 405, {"message": "Tool calling is not supported for model: small", "param": "tools"}),
    (with_tools, 400, {"message": '"auto" tool choice requires --enable-auto-tool-choice to be set'}),
    (with_tools, 400, {"message": "This model doesn\u2019t support Function Calling"}),
    (with_tools, 400, {"message": "This model doesn't yet support tool use in streaming mode."}),
    (with_tools, 400, {"message": "Unrecognized request argument supplied: tools"}),
    (with_tools, 404, {"message": "No endpoints found that support tool use.", "code": 404}),
    (with_tools, 500, {"message": "tools param requires --jinja flag", "type": "server_error", "code": 500}),
    (with_tools, 500, {"message": "Unsupported param: tools", "type": "server_error", "code": 500}),
    (with_tools, 501, {"message": "function calling is not implemented"}),
    (with_shape, 400, {"message": "'response_format' of type 'json_schema' is not supported with this model."}),
    (with_shape, 400, {"message": "This response_format type is unavailable now"}),
    (with_shape, 400, {"message": "This model does not support response format `json_schema`."}),
    (
        with_shape,
        400,
        {"message": "Unsupported parameter.", "code": "unsupported_parameter", "param": "response_format"},
    ),
    (with_shape, 422, {"detail": EXTRA}),
    (
        with_both,
        400,
        [{"error": {"code": 400, "message": "Function calling with a response mime type is unsupported"}}],
    ),
]


async def refused(
    provider: ScriptedModel, model: OpenAIModel, request: ModelRequest, status: int, error: object
) -> Any:
    body = {"error": error} if isinstance(error, dict) and "detail" not in error else error
    text = body if isinstance(body, str) else orjson.dumps(body).decode()
    provider.script({"status": status, "error": text})
    with pytest.raises(ModelFailure) as caught:
        await model.complete(request, lambda _: None)
    return caught.value


@pytest.mark.parametrize(("request_of", "status", "error"), UNSUPPORTED)
async def test_a_model_that_takes_no_tools_or_shapes_says_so(
    provider: ScriptedModel, model: OpenAIModel, request_of: Callable[[], ModelRequest], status: int, error: object
) -> None:
    failed = await refused(provider, model, request_of(), status, error)
    assert (failed.kind, failed.charge, failed.permanent) == ("unsupported", "none", False)
    plain = await refused(provider, model, asking(), status, error)
    assert plain.kind in {"bad_request", "not_found", "unavailable"}, "nothing of the kind was asked for"


@pytest.mark.parametrize(
    ("request_of", "status", "message", "kind"),
    [
        (with_tools, 400, "'response_format' is not supported with this model.", "bad_request"),
        (with_shape, 400, "this model does not support tools", "bad_request"),
        (with_tools, 400, "Invalid 'tools[0].function.name': string does not match.", "bad_request"),
        (with_tools, 401, "your key has no tools enabled", "refused_key"),
        (with_tools, 429, "tools are not available: slow down", "rate_limited"),
        (with_tools, 503, "tools are not available", "unavailable"),
        (with_tools, 404, "The model `x` does not exist", "not_found"),
        (with_tools, 400, "tools are not supported beyond the context length", "too_long"),
    ],
)
async def test_what_is_refused_for_another_reason_keeps_that_reason(
    provider: ScriptedModel, request_of: Callable[[], ModelRequest], status: int, message: str, kind: str
) -> None:
    model = OpenAIModel(provider.url, KEY, "scripted", timeout_s=5)
    failed = await refused(provider, model, request_of(), status, {"message": message})
    assert failed.kind == kind
    await model.aclose()


async def test_an_error_in_a_200_may_say_that_tools_are_not_taken(provider: ScriptedModel, model: OpenAIModel) -> None:
    body = '{"error":{"message":"this model does not support tools","code":400}}'
    provider.script({"raw": body, "headers": {"Content-Type": "application/json"}})
    with pytest.raises(ModelFailure) as caught:
        await model.complete(asking_with(), lambda _: None)
    assert (caught.value.kind, caught.value.charge) == ("unsupported", "none")
