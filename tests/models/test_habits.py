"""What comes of the habits of real providers, each played over real HTTP. The corpus grows by a file a habit."""

from typing import Any

import pytest

from domain.chat.model_port import ModelFailure, ModelReply
from tests.models.habits import NAMES, Habit, answered, load, playing, request_of, with_results

MISSING = object()


@pytest.mark.parametrize("name", NAMES)
async def test_a_habit_of_a_real_provider_brings_what_its_file_says(name: str) -> None:
    habit = load(name)
    async with playing(habit) as (model, player):
        if habit.failure is not None:
            with pytest.raises(ModelFailure) as caught:
                await answered(model, request_of(habit))
            assert_failed(caught.value, habit.failure)
        else:
            reply = await answered(model, request_of(habit))
            if habit.results is not None:
                reply = await answered(model, with_results(request_of(habit), reply, habit.results))
            assert_replied(reply, habit)
        assert len(player.requests) == len(habit.answers), "each answer is asked for once"
        assert_sent(player.requests[-1], habit.sent)


def assert_replied(reply: ModelReply, habit: Habit) -> None:
    expected = {"finish": "stop", **(habit.reply or {})}
    usage = reply.usage
    found: dict[str, Any] = {
        "text": reply.text,
        "finish": reply.finish,
        "usage": [usage.prompt_tokens, usage.completion_tokens, usage.cached_prompt_tokens],
        "estimated": usage.estimated,
        "id": reply.provider_call_id,
        "model": reply.model,
        "calls": [[call.id, call.name, call.arguments] for call in reply.tool_calls],
    }
    assert {name: found[name] for name in expected} == expected, habit.habit


def assert_failed(failed: ModelFailure, expected: dict[str, Any]) -> None:
    says, hides = expected.get("says", ""), expected.get("hides", "\x00")
    assert says in str(failed)
    assert hides not in str(failed)
    plain = {name: value for name, value in expected.items() if name not in ("says", "hides")}
    assert {name: getattr(failed, name) for name in plain} == plain


def assert_sent(sent: Any, expected: Any) -> None:
    """Objects and lists are compared as far as they are named; null is for what must not be there."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            found = sent.get(name, MISSING)
            if value is None:
                assert found is MISSING or found is None, f"{name} was sent: {found!r}"
            else:
                assert found is not MISSING, f"{name} was not sent"
                assert_sent(found, value)
    elif isinstance(expected, list):
        assert len(sent) == len(expected)
        for each, wanted in zip(sent, expected, strict=True):
            assert_sent(each, wanted)
    else:
        assert sent == expected
