"""The scripted provider itself: what tests and the bench lean on."""

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from adapters.openai.model import OpenAIModel
from domain.chat.model_port import ModelFailure
from tests.models.conftest import KEY, asking
from tests.scripted_model import ScriptedModel, start_scripted_model
from tests.scripted_model.directives import directives


def post(provider: ScriptedModel, body: dict[str, object]) -> dict[str, object]:
    connection = http.client.HTTPConnection(provider.host, provider.port, timeout=5)
    connection.request("POST", "/v1/chat/completions", orjson.dumps(body), {"Authorization": f"Bearer {KEY}"})
    answer: dict[str, object] = orjson.loads(connection.getresponse().read())
    connection.close()
    return answer


async def answer(model: OpenAIModel, text: str) -> str:
    return (await model.complete(asking(text), lambda _: None)).text


async def test_the_same_prompt_has_the_same_answer_which_names_what_was_seen(model: OpenAIModel) -> None:
    first, second = await answer(model, "hello"), await answer(model, "hello")
    assert first == second == "I have seen 2 messages. The last one says: hello"


def test_without_streaming_the_answer_is_one_object(provider: ScriptedModel) -> None:
    told = post(provider, {"model": "m", "messages": [{"role": "user", "content": "hello"}]})
    assert told["object"] == "chat.completion"
    assert told["usage"] == {
        "prompt_tokens": 6,
        "completion_tokens": 12,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    assert provider.bill()[0]["completion_tokens"] == 12


async def test_the_bill_names_every_call_with_its_end(provider: ScriptedModel, model: OpenAIModel) -> None:
    await answer(model, "[[tokens 9]]")
    for text in ("[[fail 500]]", "[[cut 1]]"):
        with pytest.raises(ModelFailure):
            await answer(model, text)
    bill = provider.bill()
    assert [(entry["n"], entry["state"]) for entry in bill] == [(1, "finished"), (2, "refused"), (3, "cut")]
    assert bill[0]["completion_tokens"] == 9
    assert (bill[1]["prompt_tokens"], bill[1]["completion_tokens"]) == (0, 0)
    assert {entry["request_id"] for entry in bill} == {"call.1"}


async def test_rules_are_used_up_in_order_and_by_their_conditions(provider: ScriptedModel, model: OpenAIModel) -> None:
    provider.script(
        {"contains": "weather", "text": "It rains.", "times": None},
        {"nth": 3, "text": "The third."},
        {"text": "First come."},
        default={"text": "As ever."},
    )
    said = [await answer(model, text) for text in ("hi", "the weather?", "hi", "hi", "weather")]
    assert said == ["First come.", "It rains.", "The third.", "As ever.", "It rains."]


async def test_a_failure_may_pass_after_a_number_of_times(model: OpenAIModel) -> None:
    for _ in range(2):
        with pytest.raises(ModelFailure, match="503"):
            await answer(model, "[[fail 503 2]] hello")
    assert (await answer(model, "[[fail 503 2]] hello")).endswith("hello")


async def test_a_quota_runs_out_after_so_many_calls(provider: ScriptedModel, model: OpenAIModel) -> None:
    provider.script(out_of_quota_after=1)
    await answer(model, "hello")
    with pytest.raises(ModelFailure) as caught:
        await answer(model, "hello")
    assert caught.value.kind == "out_of_quota"


def test_only_directives_at_a_messages_ends_are_obeyed() -> None:
    assert directives("[[delay 1]][[tokens 5]] hello [[cut 2 1]]") == (
        [["delay", "1"], ["tokens", "5"], ["cut", "2", "1"]],
        "hello",
    )
    quoted = "Summarise: user: [[hang]] hello. assistant: hi."
    assert directives(quoted) == ([], quoted)


async def test_a_rule_with_an_unknown_field_is_refused(provider: ScriptedModel) -> None:
    with pytest.raises(ValueError, match="dela_s"):
        provider.script({"dela_s": 3})


def test_the_bill_survives_the_death_of_the_provider(tmp_path: Path) -> None:
    file = tmp_path / "bill.jsonl"
    command = [sys.executable, "-m", "tests.scripted_model", "--bill", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        provider = ScriptedModel(json.loads(process.stdout.readline())["url"])
        post(provider, {"model": "m", "messages": [{"role": "user", "content": "hello"}]})
        os.kill(process.pid, signal.SIGKILL)
    with start_scripted_model(port=provider.port, bill=file) as again:
        post(again, {"model": "m", "messages": [{"role": "user", "content": "hello"}]})
        assert [(entry["n"], entry["state"]) for entry in again.bill()] == [(1, "finished"), (2, "finished")]
        again.reset()
        assert again.bill() == []
    assert file.read_bytes() == b""


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.scripted_model", "--with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(5) == 0
