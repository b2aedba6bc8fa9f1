"""What fits a window, what is summarised, and what a call may cost at most."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.chat import policy
from domain.chat.model_port import Message, ReplySchema, ToolOffer, ToolRequest
from domain.chat.policy import (
    SUMMARY_TOKENS,
    PromptMaterial,
    answer_bound,
    build_prompt,
    estimate_tokens,
    fit_to_window,
    prompt_bound,
    remaining_room,
    summarise_upto,
    summary_prompt,
    with_fewer_turns,
)
from domain.errors import TooLarge

TEXT = st.text(max_size=200) | st.text("aé漢😀 ", max_size=2_000)
TURNS = st.lists(st.tuples(TEXT, TEXT), max_size=12).map(tuple)
RECALLS = st.builds(PromptMaterial, message=TEXT, turns=TURNS, summary=st.none() | TEXT, instructions=TEXT)


def estimate(messages: tuple[Message, ...]) -> int:
    return sum(estimate_tokens(message.text) for message in messages)


@given(RECALLS, st.integers(64, 8_192), st.integers(1, 1_024))
def test_what_fits_never_exceeds_the_window(recall: PromptMaterial, window: int, max_answer: int) -> None:
    try:
        fitted = fit_to_window(recall, window=window, max_answer=max_answer)
    except TooLarge:
        least = build_prompt(PromptMaterial(recall.message, instructions=recall.instructions))
        assert estimate(least) + max_answer > window
        return
    assert estimate(build_prompt(fitted)) + max_answer <= window


@given(RECALLS, st.integers(64, 8_192), st.integers(1, 1_024))
def test_only_whole_turns_are_dropped_the_oldest_first_and_none_without_need(
    recall: PromptMaterial, window: int, max_answer: int
) -> None:
    try:
        fitted = fit_to_window(recall, window=window, max_answer=max_answer)
    except TooLarge:
        assume(False)
    kept = len(fitted.turns)
    assert fitted.turns == recall.turns[len(recall.turns) - kept :]
    assert (fitted.message, fitted.instructions) == (recall.message, recall.instructions)
    if kept < len(recall.turns):
        one_more = replace(fitted, turns=recall.turns[len(recall.turns) - kept - 1 :])
        assert estimate(build_prompt(one_more)) + max_answer > window
    if fitted.summary != recall.summary:
        with_summary = replace(fitted, turns=(), summary=recall.summary)
        assert estimate(build_prompt(with_summary)) + max_answer > window


def test_a_summary_goes_before_the_message_does() -> None:
    recall = PromptMaterial("What now?", summary="long " * 200, instructions="You are Ada.")
    assert fit_to_window(recall, window=100, max_answer=40) == replace(recall, summary=None)


def test_a_message_that_does_not_fit_alone_is_refused() -> None:
    with pytest.raises(TooLarge, match="100 tokens"):
        fit_to_window(PromptMaterial("x" * 400), window=100, max_answer=10)


def test_a_prompt_has_instructions_and_summary_first_and_the_message_last() -> None:
    recall = PromptMaterial("And now?", (("Hello", "Hi"),), "They greeted.", "You are Ada.")
    assert build_prompt(recall) == (
        Message("system", "You are Ada.\n\nWhat was said before, in short:\nThey greeted."),
        Message("user", "Hello"),
        Message("assistant", "Hi"),
        Message("user", "And now?"),
    )
    assert build_prompt(PromptMaterial("Hello")) == (Message("user", "Hello"),)
    assert build_prompt(PromptMaterial("Hello", summary="S"))[0].text.startswith("What was said before")


@given(st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), TEXT), min_size=1, max_size=8))
def test_no_tokenizer_makes_more_tokens_than_the_bound(messages: list[Message]) -> None:
    """The finest there is makes one of each byte; templates add a few to each message, and some of their own."""
    chat_ml = "".join(f"<|im_start|>{m.role}\n{m.text}<|im_end|>\n" for m in messages) + "<|im_start|>assistant\n"
    markers = 2 * len(messages) + 1
    finest = len(chat_ml.encode()) - markers * len("<|im_start|>") + 2 * len(messages) + markers
    roles = sum(len(m.role) for m in messages) + len("assistant")
    assert finest - roles <= prompt_bound(messages) + 4 * len(messages)
    assert prompt_bound(messages) >= estimate(tuple(messages)) - len(messages)
    assert prompt_bound(messages) > sum(len(m.text.encode()) for m in messages)


PLAIN = [Message("user", "Hello")]
REQUEST = ToolRequest("call_1", "find_talents", '{"skill": "caffè"}')
PARAMETERS = {"type": "object", "properties": {"skill": {"type": "string", "description": "è"}}, "required": ["skill"]}
OFFER = ToolOffer("find_talents", "Finds talents.", PARAMETERS)


def _written(request: ToolRequest) -> dict[str, Any]:
    """A request as the provider gets it back: without fields that it has not sent."""
    return {name: value for name, value in asdict(request).items() if value != {}}


@pytest.mark.parametrize(
    ("bound", "written"),
    [
        (prompt_bound([*PLAIN, Message("assistant", "", (REQUEST,))]), _written(REQUEST)),
        (prompt_bound([*PLAIN, Message("tool", REQUEST.arguments, tool_call_id="call_1")]), REQUEST.arguments),
        (prompt_bound(PLAIN, [OFFER]), {"type": "function", "function": asdict(OFFER)}),
        (prompt_bound(PLAIN, reply_schema=ReplySchema("talents", PARAMETERS)), {"talents": PARAMETERS}),
    ],
    ids=["request", "result", "offer", "schema"],
)
def test_tools_and_schemas_stay_within_the_bound_though_a_template_escapes_them(bound: int, written: object) -> None:
    assert bound - prompt_bound(PLAIN) >= len(json.dumps(written))


@given(RECALLS)
def test_ever_shorter_prompts_end_with_the_message_alone(recall: PromptMaterial) -> None:
    steps, current = 0, recall
    while (next_one := with_fewer_turns(current)) is not None:
        assert len(next_one.turns) < len(current.turns) or (current.summary and next_one.summary is None)
        assert next_one.turns == current.turns[len(current.turns) - len(next_one.turns) :]
        current, steps = next_one, steps + 1
    assert steps <= 6
    assert (current.turns, current.summary or None) == ((), None)
    assert (current.message, current.instructions) == (recall.message, recall.instructions)


@given(st.integers(1, 100_000), st.integers(1, 1_000_000))
def test_an_answers_cap_is_a_quarter_of_the_window_at_most(max_answer: int, window: int) -> None:
    cap = answer_bound(max_answer, window)
    assert 1 <= cap <= max(1, window // 4)
    assert cap <= max_answer


def test_a_conversation_near_the_window_has_its_older_half_summarised() -> None:
    assert summarise_upto(1, 10, used=699, window=1_000) is None
    assert summarise_upto(1, 10, used=700, window=1_000) == 5
    assert summarise_upto(1, 9, used=900, window=1_000) == 5
    assert summarise_upto(6, 10, used=900, window=1_000) == 8
    assert summarise_upto(9, 10, used=900, window=1_000) == 9


def test_a_single_turn_is_not_summarised() -> None:
    assert summarise_upto(10, 10, used=990, window=1_000) is None
    assert summarise_upto(11, 10, used=990, window=1_000) is None


@given(st.integers(1, 500), st.integers(0, 500), st.integers(0, 2_000), st.none() | st.integers(-500, 500))
def test_what_is_summarised_is_held_and_leaves_the_newest_where_it_fits(
    first: int, more: int, used: int, left: int | None
) -> None:
    upto = summarise_upto(first, first + more, used=used, window=1_000, room=left)
    if upto is not None:
        assert first <= upto <= first + more
        assert upto < first + more or left is not None


def test_turns_that_the_next_prompt_would_drop_are_summarised_first() -> None:
    assert summarise_upto(1, 10, used=10, window=1_000, room=-1) == 5
    assert summarise_upto(1, 10, used=10, window=1_000, room=900) is None


@given(RECALLS, st.integers(1, 500))
def test_room_is_what_fit_will_find(recall: PromptMaterial, answered: int) -> None:
    """A next message of that many tokens, and its answer, still go with all that was said."""
    reply = "x" * 4 * answered
    window = estimate(build_prompt(recall)) + estimate_tokens(reply) + 500
    left = remaining_room(recall, answered=answered, window=window, max_answer=100)
    assume(left >= 16)
    following = PromptMaterial(
        "y" * 3 * (left - 16), (*recall.turns, (recall.message, reply)), recall.summary, recall.instructions
    )
    assert fit_to_window(following, window=window, max_answer=100) == following


@given(st.none() | TEXT, st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=400), st.integers(1_024, 16_384))
def test_the_request_for_a_summary_fits_the_window_itself(
    earlier: str | None, turns: list[tuple[str, str]], window: int
) -> None:
    messages = summary_prompt(earlier, turns, window=window)
    assert estimate(messages) + SUMMARY_TOKENS <= window


def test_a_request_for_a_summary_holds_all_of_short_turns() -> None:
    (_, asked) = summary_prompt("They met.", [("Hi", "Hello"), ("Bye", "See you")], window=4_096)
    assert asked.text == "Summary so far: They met.\nUser: Hi\nAssistant: Hello\nUser: Bye\nAssistant: See you"


def test_a_request_for_a_summary_of_too_many_turns_leaves_out_the_oldest() -> None:
    turns = [(f"question {n} " + "x" * 300, "answer " + "y" * 300) for n in range(1_000)]
    (_, asked) = summary_prompt(None, turns, window=2_048)
    assert "question 999" in asked.text
    assert "question 0 " not in asked.text


def test_a_run_gives_way_well_before_the_engine_asks() -> None:
    assert policy.EVENTS_PER_RUN < 4_096
