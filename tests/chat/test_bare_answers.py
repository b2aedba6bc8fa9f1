"""The JSON that an answer is to be, found in what models write around it; and what is known of a model's refusals."""

import time

import pytest

from activities.chat.answer_shapes import SHAPES
from activities.chat.reply import ReplyConstraints, extract_json, parse_reply, shape_of
from activities.costs.refusals import Refusals
from domain.chat.policy import REFUSAL_TTL_S


def wanted() -> ReplyConstraints:
    return ReplyConstraints(shape=shape_of(min(SHAPES)))


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "<think>Maybe {{1}} or {{2}}?</think>\n{}",
        "Hm, {{who}} knows.</think>{}",
        "<thinking>[]</thinking> {}",
        "◁think▷ {{ ◁/think▷ {}",
        "```json\n{}\n```",
        "```\n{}\n```",
        "```json\n{}",
        "```JSON {}```",
        "Here it is: {} I hope that {{helps}}.",
        "<think>```json\n[1]\n```</think>```json\n{}\n```",
    ],
)
def test_json_is_found_in_what_is_written_around_it(around: str) -> None:
    assert extract_json(around.format('{"a": [1, {"b": "}"}]}'), wanted()) == '{"a": [1, {"b": "}"}]}'


@pytest.mark.parametrize(
    "text",
    ["```" + " " * 400_000, "```json" * 60_000, "{" * 400_000, '{"a":' * 80_000, "</think>" * 50_000, "`" * 400_000],
)
def test_looking_for_json_takes_no_more_than_its_length(text: str) -> None:
    started = time.process_time()
    extract_json(text, wanted())
    assert time.process_time() - started < 2


def test_an_answer_cut_by_its_length_is_told_to_be_shorter() -> None:
    meant = parse_reply('{"a', "length", wanted(), "call")
    assert meant.problem is not None
    assert "fewer words" in meant.problem


def test_tools_and_schemas_are_refused_apart_and_for_a_while() -> None:
    at = [0.0]
    known = Refusals(lambda: at[0])
    known.note("a", "schema")
    assert (known.has_refused("a", "schema"), known.has_refused("a", "tools"), known.has_refused("b", "schema")) == (
        True,
        False,
        False,
    )
    at[0] = REFUSAL_TTL_S
    assert list(known.of("a")) == []
