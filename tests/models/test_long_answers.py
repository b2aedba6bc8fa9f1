"""Answers that take long: silence between two pieces has a bound, and so has the whole; each is the model's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from adapters.openai.model import OpenAIModel
from domain.chat.model_port import ModelFailure, Usage
from tests.models.conftest import KEY, asking
from tests.models.habits import Habit, playing, request_of
from tests.scripted_model import ScriptedModel

STEADY = {"tokens": 120, "tokens_per_chunk": 10, "inter_chunk_delay_s": 0.15}


@asynccontextmanager
async def asked(provider: ScriptedModel, *, silence_s: float) -> AsyncIterator[OpenAIModel]:
    model = OpenAIModel(provider.url, KEY, "scripted", timeout_s=silence_s)
    try:
        yield model
    finally:
        await model.aclose()


async def failing(model: OpenAIModel, *, longest_s: float) -> ModelFailure:
    with pytest.raises(ModelFailure) as caught:
        await model.complete(replace(asking(), longest_s=longest_s), lambda _: None)
    return caught.value


async def test_a_steady_answer_that_takes_longer_than_the_bound_of_silence_is_whole(provider: ScriptedModel) -> None:
    provider.script(STEADY)
    async with asked(provider, silence_s=1) as model:
        reply = await model.complete(replace(asking(), longest_s=30), lambda _: None)
    assert (reply.finish, reply.usage.completion_tokens, reply.usage.estimated) == ("stop", 120, False)
    assert [entry["state"] for entry in provider.bill()] == ["finished"]


async def test_an_answer_that_exceeds_the_whole_bound_is_booked_as_far_as_it_came_and_not_asked_again(
    provider: ScriptedModel,
) -> None:
    provider.script({**STEADY, "tokens": 1000})
    async with asked(provider, silence_s=10) as model:
        failed = await failing(model, longest_s=0.8)
    assert (failed.kind, failed.charge, failed.permanent) == ("timeout", "partial", True)
    [entry] = await provider.until(lambda bill: bill[0]["state"] == "client_gone")
    assert failed.usage is not None
    assert 10 <= failed.usage.completion_tokens <= entry["completion_tokens"] < 200


async def test_an_answer_of_which_nothing_came_by_then_may_be_asked_for_again(provider: ScriptedModel) -> None:
    provider.script({"hang": True})
    async with asked(provider, silence_s=10) as model:
        failed = await failing(model, longest_s=0.3)
    assert (failed.kind, failed.charge, failed.permanent, failed.usage) == ("timeout", "possible", False, None)


async def test_an_answer_whose_reason_came_before_the_bound_stands(provider: ScriptedModel) -> None:
    provider.script({"text": "All of it.", "hang_after_finish": True})
    async with asked(provider, silence_s=10) as model:
        reply = await model.complete(replace(asking(), longest_s=0.8), lambda _: None)
    assert (reply.text, reply.finish) == ("All of it.", "stop")


async def test_silence_in_the_middle_is_told_apart_from_an_answer_that_does_not_end(provider: ScriptedModel) -> None:
    provider.script({"tokens": 30, "tokens_per_chunk": 10, "hang_after_chunks": 1})
    async with asked(provider, silence_s=0.5) as model:
        failed = await failing(model, longest_s=30)
    assert (failed.kind, failed.charge, failed.permanent) == ("timeout", "partial", False)
    assert failed.usage == Usage(4, 10, estimated=True)


async def test_an_answer_without_a_bound_of_its_own_ends_by_silence_only(provider: ScriptedModel) -> None:
    provider.script(STEADY)
    async with asked(provider, silence_s=1) as model:
        reply = await model.complete(asking(), lambda _: None)
    assert reply.usage.completion_tokens == 120


@pytest.mark.parametrize(
    "blank",
    [{"stream": ["", "", ""]}, {"body": ": OPENROUTER PROCESSING\n\n"}, {"stream": [{"delta": {"role": "assistant"}}]}],
)
async def test_signs_of_life_do_not_extend_the_whole_bound(blank: dict[str, object]) -> None:
    habit = Habit("It only says that it is there.", "OpenRouter", [{**blank, "pause_s": 20}])
    async with playing(habit) as (model, _):
        with pytest.raises(ModelFailure) as caught:
            await model.complete(replace(request_of(habit), longest_s=0.4), lambda _: None)
    assert (caught.value.kind, caught.value.charge) == ("timeout", "possible")


async def test_the_thoughts_of_an_answer_that_did_not_end_are_booked() -> None:
    thought = {"delta": {"reasoning_content": "Hm. " * 10}}
    habit = Habit("It thinks, and thinks.", "DeepSeek", [{"stream": [thought] * 40, "pause_s": 0.1}])
    async with playing(habit) as (model, _):
        with pytest.raises(ModelFailure) as caught:
            await model.complete(replace(request_of(habit), longest_s=0.8), lambda _: None)
    assert (caught.value.charge, caught.value.permanent) == ("partial", True)
    assert caught.value.usage is not None
    assert caught.value.usage.completion_tokens >= 10


async def test_a_model_that_does_not_stream_may_be_silent_until_it_is_whole() -> None:
    """What it thinks and writes comes in one piece, so that silence is no sign of anything."""
    refusal = {"status": 400, "json": {"error": {"message": "stream is not supported", "param": "stream"}}}
    whole = {"json": {"choices": [{"message": {"content": "Late."}, "finish_reason": "stop"}]}, "silence_s": 1.0}
    habit = Habit("It refuses to stream, and takes its time.", "gateways", [refusal, whole])
    async with playing(habit, silence_s=0.4) as (model, player):
        request = replace(request_of(habit), longest_s=20)
        with pytest.raises(ModelFailure) as caught:
            await model.complete(request, lambda _: None)
        assert caught.value.refused_part == "stream"
        reply = await model.complete(request, lambda _: None)
    assert (reply.text, len(player.requests)) == ("Late.", 2)
