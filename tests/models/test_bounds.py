"""Answers without measure: what is kept of them, and that reading them takes no more than their length in time."""

import time
from contextlib import suppress

import orjson
import pytest

from adapters.openai.bounds import (
    MAX_ANSWER_BYTES,
    MAX_BODY_BYTES,
    MAX_EVENT_BYTES,
    MOST_REQUESTS,
    count_from,
    mend,
    name_from,
)
from adapters.openai.failure_kind import Extras
from adapters.openai.partial_answer import PartialAnswer
from adapters.openai.stream import ResponseReader
from domain.chat.model_port import ModelFailure, ModelReply
from tests.models.conftest import asking

PIECE = 2**18


def read(*pieces: bytes) -> tuple[PartialAnswer, ModelReply]:
    arriving = PartialAnswer(lambda _: None, Extras(tools=True))
    reading = ResponseReader(arriving)
    for piece in pieces:
        if arriving.done or arriving.is_too_long:
            break
        reading.feed(piece)
    return arriving, arriving.reply(asking(), None)


def event(**delta: object) -> bytes:
    return b"data: %b\n\n" % orjson.dumps({"id": "c", "choices": [{"delta": delta}]})


def call(arguments: str, index: int = 0, **more: object) -> bytes:
    return event(tool_calls=[{"index": index, "id": "a", "function": {"name": "f", "arguments": arguments}, **more}])


def test_a_text_without_measure_ends_at_the_bound_as_one_cut_by_its_cap() -> None:
    arriving, reply = read(*[event(content="é" * (PIECE // 2))] * 800)
    assert arriving.is_too_long
    assert (reply.finish, len(reply.text.encode())) == ("length", MAX_ANSWER_BYTES)
    assert reply.usage.estimated


def test_a_refusal_without_measure_ends_there_too() -> None:
    _, reply = read(*[event(refusal="n" * PIECE)] * 800)
    assert len(reply.text) == MAX_ANSWER_BYTES


def test_arguments_without_measure_are_kept_in_part() -> None:
    _, reply = read(*[call("x" * PIECE)] * 800)
    assert sum(len(asked.arguments) for asked in reply.tool_calls) <= MAX_ANSWER_BYTES


def test_requests_without_number_are_kept_in_part() -> None:
    _, reply = read(*[call("{}", index) for index in range(5_000)], b"data: [DONE]\n\n")
    assert len(reply.tool_calls) == MOST_REQUESTS


def test_fields_without_measure_do_not_go_back() -> None:
    _, reply = read(*[event(reasoning_content="Hm. " * 10_000)] * 20, call("{}"), b"data: [DONE]\n\n")
    assert (reply.extra, len(reply.tool_calls)) == ({}, 1)
    assert reply.usage.completion_tokens > 20 * 10_000, "what was thought is counted"


def test_a_body_without_measure_is_not_held() -> None:
    with pytest.raises(ModelFailure, match="does not end"):
        read(b"{", *[b" " * PIECE] * (MAX_BODY_BYTES // PIECE + 1))


def test_an_event_without_measure_is_not_held() -> None:
    with pytest.raises(ModelFailure, match="larger than"):
        read(b"data: ", *[b"x" * PIECE] * (MAX_EVENT_BYTES // PIECE + 1))


def test_lines_without_number_of_one_event_are_not_held() -> None:
    with pytest.raises(ModelFailure, match="larger than"):
        read(*[b"data: [\n" * 10_000] * 300)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: {\n" * 5_000],
        [b"\n" * 2**20],
        [b":" * 2**20 + b"\n"],
        [call('{"a":"}') for _ in range(3_000)],
        [event(content=c) for c in "\ud7ff" * 5_000],
        [b" " * 2**20],
    ],
)
def test_reading_takes_no_more_than_its_length(pieces: list[bytes]) -> None:
    started = time.process_time()
    with suppress(ModelFailure):
        read(*pieces, b"data: [DONE]\n\n")
    assert time.process_time() - started < 5


@pytest.mark.parametrize("value", [None, True, "", [], {}, -1, 10**19, float("nan"), float("inf"), "1e30", "ten", b"1"])
def test_what_is_no_count_is_none(value: object) -> None:
    assert count_from(value) in (None, 1)
    assert count_from(value) is None or value == b"1"


@pytest.mark.parametrize(("value", "count"), [(0, 0), ("12", 12), (12.0, 12), (10**7, 10**7), (" 7 ", 7)])
def test_what_is_a_count_is_one(value: object, count: int) -> None:
    assert count_from(value) == count


@pytest.mark.parametrize(
    ("value", "name"), [(7, "7"), (1.5, "1.5"), ("a\x00", "a"), ("", None), (None, None), (True, None), (["a"], None)]
)
def test_a_name_is_a_short_text_or_none(value: object, name: str | None) -> None:
    assert name_from(value) == name


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("\ud83d\ude00", "😀"),
        ("\ud83d", "?"),
        ("a\ude00b", "a?b"),
        ("Gr\udcc3\udcb6\udcc3\udc9fe", "Größe"),
        ("\udcff", "\ufffd"),
        ("a\x00b", "ab"),
        ("plain é", "plain é"),
    ],
)
def test_halves_of_characters_are_joined_or_replaced(text: str, whole: str) -> None:
    assert mend(text) == whole
