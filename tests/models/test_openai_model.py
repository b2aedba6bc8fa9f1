"""The model client over real HTTP: whole answers, and each way in which none comes."""

import asyncio
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from adapters.openai.model import OpenAIModel
from domain.chat.model_port import Message, ModelFailure, ModelRequest, Usage
from tests.models.conftest import KEY, asking
from tests.scripted_model import ScriptedModel


async def failing(model: OpenAIModel, text: str = "hello") -> tuple[ModelFailure, list[str]]:
    deltas: list[str] = []
    with pytest.raises(ModelFailure) as caught:
        await model.complete(asking(text), deltas.append)
    assert KEY not in str(caught.value)
    return caught.value, deltas


async def test_an_answer_comes_in_pieces_and_whole_with_the_providers_usage(
    provider: ScriptedModel, model: OpenAIModel
) -> None:
    provider.script({"text": "One two three four.", "tokens_per_chunk": 1, "cached_tokens": 3})
    deltas: list[str] = []
    reply = await model.complete(asking("hello"), deltas.append)
    assert (reply.text, "".join(deltas), len(deltas)) == ("One two three four.", "One two three four.", 5)
    assert (reply.finish, reply.model, reply.provider_call_id) == ("stop", "scripted", "chatcmpl-1")
    assert reply.usage == Usage(13, 5, cached_prompt_tokens=3)


async def test_the_provider_gets_the_request_id_the_messages_and_the_cap(
    provider: ScriptedModel, model: OpenAIModel
) -> None:
    messages = (
        Message("system", "Be brief."),
        Message("user", "hi"),
        Message("assistant", "Hi."),
        Message("user", "x"),
    )
    await model.complete(ModelRequest("a.2", "other-model", messages, 77, 0.25), lambda _: None)
    (sent,) = provider.requests()
    assert sent == {
        "request_id": "a.2",
        "model": "other-model",
        "messages": [{"role": said.role, "content": said.text} for said in messages],
        "max_tokens": 77,
        "temperature": 0.25,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert provider.bill()[0]["request_id"] == "a.2"


async def test_an_answer_that_hits_the_cap_says_so(model: OpenAIModel) -> None:
    reply = await model.complete(asking("[[tokens 50]]", max_tokens=7), lambda _: None)
    assert (reply.finish, reply.usage.completion_tokens, len(reply.text)) == ("length", 7, 28)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_framing_survives_every_network_border_crlf_comments_and_split_characters(
    provider: ScriptedModel, model: OpenAIModel, size: int
) -> None:
    text = "Größe: 1 €, 🦙 und\u2028Zeile\nzwei\r\nEnde"
    provider.script({"text": text, "split_bytes": size, "crlf": True})
    reply = await model.complete(asking(), lambda _: None)
    assert reply.text == text
    assert not reply.usage.estimated


async def test_an_empty_answer_is_an_answer(model: OpenAIModel) -> None:
    reply = await model.complete(asking("[[empty]]"), lambda _: None)
    assert (reply.text, reply.finish, reply.usage.completion_tokens) == ("", "stop", 0)


async def test_an_answer_without_usage_is_counted_from_what_arrived(model: OpenAIModel) -> None:
    reply = await model.complete(asking("[[tokens 40]][[nousage]]"), lambda _: None)
    prompt_bytes = len("Be brief.") + len("[[tokens 40]][[nousage]]")
    assert reply.usage == Usage(-(-prompt_bytes // 4), 40, estimated=True)


async def test_a_stream_that_is_done_without_a_reason_is_whole(provider: ScriptedModel, model: OpenAIModel) -> None:
    provider.script({"text": "All of it.", "no_finish": True})
    reply = await model.complete(asking(), lambda _: None)
    assert (reply.text, reply.finish) == ("All of it.", "other")


async def test_a_cut_stream_is_counted_from_what_arrived(provider: ScriptedModel, model: OpenAIModel) -> None:
    provider.script({"tokens": 30, "tokens_per_chunk": 10, "cut_after_chunks": 2})
    failed, deltas = await failing(model)
    assert (failed.kind, failed.charge, failed.permanent) == ("cut", "partial", False)
    assert failed.usage == Usage(4, 20, estimated=True)
    assert len("".join(deltas)) == 80
    assert failed.provider_call_id == "chatcmpl-1"
    assert provider.bill()[0]["completion_tokens"] == 20


async def test_a_cut_before_the_first_piece_may_have_been_charged(model: OpenAIModel) -> None:
    failed, deltas = await failing(model, "[[cut 0]]")
    assert (failed.kind, failed.charge, failed.usage, deltas) == ("cut", "possible", None, [])


async def test_a_cut_after_the_last_piece_but_before_the_reason_is_still_a_cut(
    provider: ScriptedModel, model: OpenAIModel
) -> None:
    provider.script({"text": "abcd", "tokens_per_chunk": 1, "cut_after_chunks": 1})
    failed, _ = await failing(model)
    assert (failed.kind, failed.usage) == ("cut", Usage(4, 1, estimated=True))


async def test_no_connection_means_that_nothing_was_charged() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        model = OpenAIModel(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", KEY, "scripted", timeout_s=1)
        failed, _ = await failing(model)
        with pytest.raises(ModelFailure, match="no connection"):
            await model.probe()
        await model.aclose()
    assert (failed.kind, failed.charge, failed.permanent) == ("unreachable", "none", False)


async def test_silence_is_a_timeout_that_may_have_been_charged(provider: ScriptedModel) -> None:
    model = OpenAIModel(provider.url, KEY, "scripted", timeout_s=0.2)
    failed, _ = await failing(model, "[[hang]]")
    assert (failed.kind, failed.charge, failed.permanent) == ("timeout", "possible", False)
    provider.script({"tokens": 30, "tokens_per_chunk": 10, "hang_after_chunks": 1})
    begun, _ = await failing(model)
    assert (begun.kind, begun.charge, begun.usage) == ("timeout", "partial", Usage(4, 10, estimated=True))
    await model.aclose()
    await provider.until(lambda bill: [entry["state"] for entry in bill] == ["client_gone"] * 2)


REFUSALS: list[tuple[int, object, tuple[str, bool]]] = [
    (401, None, ("refused_key", True)),
    (403, "no", ("refused_key", True)),
    (402, None, ("out_of_quota", True)),
    (429, {"code": "insufficient_quota", "type": "insufficient_quota"}, ("out_of_quota", True)),
    (429, None, ("rate_limited", False)),
    (429, {"message": "too much of the context window a minute"}, ("rate_limited", False)),
    (500, None, ("unavailable", False)),
    (503, "<html>later</html>", ("unavailable", False)),
    (408, None, ("unavailable", False)),
    (409, None, ("unavailable", False)),
    (404, None, ("not_found", True)),
    (400, {"code": "context_length_exceeded", "type": "invalid_request_error"}, ("too_long", True)),
    (400, {"code": 400, "type": "exceed_context_size_error", "n_ctx": 8192}, ("too_long", True)),
    (400, {"message": "This model's maximum context length is 8192 tokens", "code": 400}, ("too_long", True)),
    (413, None, ("too_long", True)),
    (400, {"message": "temperature must not be 9"}, ("bad_request", True)),
    (422, "[]", ("bad_request", True)),
    (307, None, ("wrong_path", True)),
]


@pytest.mark.parametrize(("status", "error", "expected"), REFUSALS)
async def test_a_refusal_is_named_and_costs_nothing(
    provider: ScriptedModel, model: OpenAIModel, status: int, error: object, expected: tuple[str, bool]
) -> None:
    provider.script({"status": status, "error": error})
    failed, _ = await failing(model)
    assert (failed.kind, failed.permanent) == expected
    assert (failed.charge, failed.usage, failed.retry_after) == ("none", None, None)
    assert provider.bill()[0]["state"] == "refused"


async def test_a_gateway_that_gave_up_waiting_may_have_been_charged(model: OpenAIModel) -> None:
    failed, _ = await failing(model, "[[fail 504]]")
    assert (failed.kind, failed.charge) == ("unavailable", "possible")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "30", "retry-after-ms": "250"}, 0.25),
        ({"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
    ],
)
async def test_the_providers_word_on_when_to_retry_is_passed_on(
    provider: ScriptedModel, model: OpenAIModel, headers: dict[str, str], seconds: float | None
) -> None:
    provider.script({"status": 429, "headers": headers})
    failed, _ = await failing(model)
    assert failed.retry_after == seconds


async def test_a_date_to_retry_after_becomes_seconds(provider: ScriptedModel, model: OpenAIModel) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    provider.script({"status": 503, "headers": {"Retry-After": then}})
    failed, _ = await failing(model)
    assert failed.retry_after is not None
    assert 50 < failed.retry_after <= 60


async def test_a_wrong_key_is_refused_and_never_quoted(provider: ScriptedModel) -> None:
    model = OpenAIModel(provider.url, "sk-wrong", "scripted", timeout_s=5)
    for asked in (model.complete(asking(), lambda _: None), model.probe()):
        with pytest.raises(ModelFailure) as caught:
            await asked
        assert (caught.value.kind, caught.value.permanent) == ("refused_key", True)
    await model.aclose()


async def test_a_provider_that_quotes_the_key_is_not_quoted(provider: ScriptedModel, model: OpenAIModel) -> None:
    provider.script({"status": 400, "error": {"message": f"unexpected {KEY}"}})
    failed, _ = await failing(model)
    assert "unexpected [key]" in str(failed)


@pytest.mark.parametrize(
    ("error", "tokens", "expected"),
    [
        ({"message": "overloaded", "code": 503}, 10, ("unavailable", "partial", False)),
        ({"message": "no", "code": "context_length_exceeded"}, 10, ("too_long", "partial", True)),
        ({"message": "slow down", "code": "rate_limit_exceeded"}, 10, ("rate_limited", "partial", False)),
    ],
)
async def test_an_error_inside_the_stream_is_the_failure_it_names(
    provider: ScriptedModel, model: OpenAIModel, error: dict[str, Any], tokens: int, expected: tuple[str, str, bool]
) -> None:
    provider.script({"tokens": 30, "tokens_per_chunk": tokens, "error_in_stream": error})
    failed, deltas = await failing(model)
    assert (failed.kind, failed.charge, failed.permanent) == expected
    assert failed.usage == Usage(4, tokens, estimated=True)
    assert len(deltas) == 1


async def test_an_error_wrapped_in_a_200_is_an_error(provider: ScriptedModel, model: OpenAIModel) -> None:
    body = '{"error":{"message":"slow down","code":429}}'
    provider.script({"status": 200, "raw": body, "headers": {"Content-Type": "application/json"}})
    failed, _ = await failing(model)
    assert (failed.kind, failed.charge) == ("rate_limited", "none")


async def test_a_web_page_is_unreadable_and_may_have_been_charged(model: OpenAIModel) -> None:
    failed, _ = await failing(model, "[[garbage]]")
    assert (failed.kind, failed.charge, failed.permanent) == ("unreadable", "possible", False)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "event: hello\n\n",
        "data: 7\n\n",
        "data: {}\n\n",
        'data: {"choices":[{"delta":{"content":null}}]}\n\n',
        "data:\n\n",
    ],
)
async def test_a_stream_that_holds_no_answer_is_unreadable(
    provider: ScriptedModel, model: OpenAIModel, body: str
) -> None:
    provider.script({"raw": body, "headers": {"Content-Type": "text/event-stream"}})
    failed, _ = await failing(model)
    assert (failed.kind, failed.charge) == ("unreadable", "possible")


async def test_garbage_in_mid_stream_is_unreadable_and_partly_charged(
    provider: ScriptedModel, model: OpenAIModel
) -> None:
    provider.script({"tokens": 30, "tokens_per_chunk": 10, "garbage": "chunk"})
    failed, _ = await failing(model)
    assert (failed.kind, failed.charge, failed.usage) == ("unreadable", "partial", Usage(4, 10, estimated=True))


async def test_a_last_line_without_its_blank_line_still_counts(provider: ScriptedModel, model: OpenAIModel) -> None:
    chunk = 'data: {"id":"c","choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}'
    provider.script({"raw": chunk, "headers": {"Content-Type": "text/event-stream"}})
    assert (await model.complete(asking(), lambda _: None)).text == "hi"


async def test_after_the_finish_reason_the_answer_stands_whatever_follows(
    provider: ScriptedModel, model: OpenAIModel
) -> None:
    chunk = 'data: {"id":"c","choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    usage = 'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}}'
    for rest, expected in (("data: {no json\n\n", Usage(4, 1, estimated=True)), (usage, Usage(5, 6))):
        provider.script({"raw": chunk + rest, "headers": {"Content-Type": "text/event-stream"}})
        reply = await model.complete(asking(), lambda _: None)
        assert (reply.text, reply.finish, reply.usage) == ("hi", "stop", expected)


async def test_a_provider_that_never_says_done_is_not_waited_for(
    provider: ScriptedModel, model: OpenAIModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.openai.response_body.LAST_WORD_SECONDS", 0.1)
    provider.script({"tokens": 12, "hang_after_finish": True})
    reply = await model.complete(asking(), lambda _: None)
    assert (reply.finish, reply.usage) == ("stop", Usage(4, 12, estimated=True))


async def test_a_refusal_whose_body_breaks_off_is_still_that_refusal() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Later\r\nContent-Length: 999\r\nRetry-After: 3\r\n\r\n{")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    model = OpenAIModel(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", None, "scripted", 5)
    with pytest.raises(ModelFailure) as caught:
        await model.complete(asking(), lambda _: None)
    assert (caught.value.kind, caught.value.charge, caught.value.retry_after) == ("unavailable", "none", 3)
    await model.aclose()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(("server", "connections"), [("llama.cpp", 3), ("another", 1)])
async def test_a_connection_is_used_again_unless_the_server_is_known_to_close_it(server: str, connections: int) -> None:
    opened: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        head = f"HTTP/1.1 200 OK\r\nServer: {server}\r\nContent-Type: text/event-stream\r\nContent-Length: "
        stream = b'data: {"id":"c","choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        while await reader.read(65536):
            writer.write(f"{head}{len(stream)}\r\n\r\n".encode())
            await asyncio.sleep(0.01)  # as a model does before its first word
            writer.write(stream)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    model = OpenAIModel(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", None, "scripted", 5)
    for _ in range(3):
        assert (await model.complete(asking(), lambda _: None)).text == "hi"
    assert len(opened) == connections
    await model.aclose()
    listening.close()
    await listening.wait_closed()


async def test_cancelling_closes_the_connection_at_once(provider: ScriptedModel, model: OpenAIModel) -> None:
    begun = asyncio.Event()
    provider.script({"tokens": 400, "inter_chunk_delay_s": 0.05})
    task = asyncio.create_task(model.complete(asking(), lambda _: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    bill = await provider.until(lambda bill: bill[0]["state"] == "client_gone", seconds=1)
    assert 0 < bill[0]["completion_tokens"] < 100


async def test_a_callers_time_limit_ends_the_call(provider: ScriptedModel, model: OpenAIModel) -> None:
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await model.complete(asking("[[hang]]"), lambda _: None)
    assert time.monotonic() - start < 1
    await provider.until(lambda bill: bill[0]["state"] == "client_gone", seconds=1)


async def test_a_fault_of_the_listener_is_not_taken_for_the_providers(model: OpenAIModel) -> None:
    def listen(_: str) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await model.complete(asking(), listen)


async def test_calls_side_by_side_do_not_mix(model: OpenAIModel) -> None:
    replies = await asyncio.gather(
        *(model.complete(asking(f"number {n} [[pace 0.001]]"), lambda _: None) for n in range(30))
    )
    assert [reply.text.split("says: ")[1] for reply in replies] == [f"number {n}" for n in range(30)]


async def test_the_probe_passes_while_the_provider_answers(model: OpenAIModel) -> None:
    await model.probe()


async def test_the_window_is_the_price_lists_then_the_settings_then_8192(provider: ScriptedModel) -> None:
    free, bound = (OpenAIModel(provider.url, KEY, "scripted", 5, window) for window in (None, 5000))
    assert await free.window("gpt-4o") == 128_000
    assert await free.window("scripted") == 8192
    assert await bound.window("scripted") == 5000
    assert await bound.window("gpt-4o") == 5000
    await free.aclose()
    await bound.aclose()


async def test_the_window_of_llama_cpp_is_what_it_says_of_a_slot(provider: ScriptedModel, model: OpenAIModel) -> None:
    provider.script(props={"default_generation_settings": {"n_ctx": 4096}, "total_slots": 2})
    assert await model.window("gpt-4o") == 4096
    provider.reset()
    assert await model.window("gpt-4o") == 4096, "asked once"


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host/v1", "http:///v1"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        OpenAIModel(url, None, "scripted", 5)
