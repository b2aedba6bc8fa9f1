"""Runs on what nobody should write: each ends with a sentence, soon, and the next run goes on."""

import time
from typing import Any

import orjson
import pytest

from activities.graphflow.stored_texts import without_nul
from tests.graphflow.runs import ANTONIO, run, transform, workflow
from tests.scripted_model import ScriptedModel
from tests.system import System

_WITHIN_S = 20


def deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


LISTS: dict[str, Any] = {"list": list(range(9_000))}
HOSTILE: list[tuple[str, dict[str, Any], Any, str]] = [
    ("loops in loops over a long list", {"x": "input.list.map(a, input.list.map(b, a + b))"}, LISTS, "too much work"),
    ("comparisons of long lists", {"x": "input.list.all(a, input.list == input.list)"}, LISTS, "too much work"),
    ("a text that grows in a loop", {"x": "['x']" + ".map(a, a + a)" * 24}, {}, "too much work"),
    ("a text with U+0000", {"x": "'a\\u0000b'"}, {}, "U+0000"),
    ("a key with U+0000, inside a list", {"x": "[{'a\\u0000b': 1}]"}, {}, "U+0000"),
    ("a value that is too deep", {"x": "[[[input.deep]]]"}, {"deep": deep(199)}, "nested more than 200 deep"),
]


@pytest.mark.parametrize(("set_", "given", "said"), [each[1:] for each in HOSTILE], ids=[each[0] for each in HOSTILE])
async def test_it_fails_with_a_sentence(system: System, set_: dict[str, str], given: Any, said: str) -> None:
    started = time.monotonic()
    over = await (await run(system, workflow(transform("a", **set_), input={"type": "object"}), given)).over()
    assert (over.status, over.node, over.code) == ("failed", "a", "EXPRESSION_FAILED")
    assert said in (over.reason or "")
    assert time.monotonic() - started < _WITHIN_S


async def test_three_filters_over_nine_thousand_items_are_gone_through(system: System) -> None:
    expression = "input.list.filter(x, x > 1).filter(x, x > 2).filter(x, x > 3).size()"
    document = workflow(transform("a", n=expression), input={"type": "object"}, output={"n": "{{ nodes.a.output.n }}"})
    assert await (await run(system, document, LISTS)).output() == {"n": 8_996}


SCHEMAS: list[tuple[str, dict[str, Any], Any]] = [
    ("a reference to nothing", {"properties": {"a": {"$ref": "#/$defs/no"}}}, {"a": 1}),
    ("a pattern that is none", {"properties": {"a": {"pattern": "(a"}}}, {"a": "a"}),
    ("a reference to the web", {"properties": {"a": {"$ref": "http://127.0.0.1:1/"}}}, {"a": 1}),
    ("an input that is too deep", {}, {"a": deep(220)}),
    ("a pattern that branches", {"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 50_000 + "!"}),
    ("a pattern that goes back", {"properties": {"a": {"pattern": r"^(a+)+\1$"}}}, {"a": "a" * 50_000 + "!"}),
]


@pytest.mark.parametrize(("schema", "given"), [each[1:] for each in SCHEMAS], ids=[each[0] for each in SCHEMAS])
async def test_a_schema_or_an_input_that_cannot_be_used_is_an_end(
    system: System, schema: dict[str, Any], given: Any
) -> None:
    """Definitions that were kept before such schemas were refused are in the ledger still."""
    started = time.monotonic()
    document = workflow(transform("a", x="1"), input={"type": "object", **schema})
    over = await (await run(system, document, given)).over()
    assert (over.status, over.code) == ("failed", "INPUT_INVALID")
    assert time.monotonic() - started < _WITHIN_S


async def test_nothing_of_an_answer_with_u0000_is_cut_off_where_it_is_read(
    system: System, scripted_model: ScriptedModel
) -> None:
    answer = {"said": "ab\x00cd", "k": 1, "k\x00z": ["\x00", "\\u0000"]}
    scripted_model.script({"contains": "Say it", "text": orjson.dumps(answer).decode(), "times": None})
    ask = {"id": "ask", "type": "agent", "agent": ANTONIO, "prompt": "Say it", "output": {"type": "object"}}
    end = transform("end", all="nodes.ask.output", length="size(nodes.ask.output.said)")
    started = await run(system, workflow(ask, end, edges=[("ask", "end")]))
    clean = {"said": "abcd", "k": 1, "kz": ["", "\\u0000"]}
    assert await started.output() == {"end": {"all": clean, "length": 4}}


@pytest.mark.parametrize("text", ["", "\x00", "\x00\x00a", "\\\x00", "\\u0000", "\\\\u0000", "a\\\x00\\"])
def test_u0000_and_nothing_else_is_taken_out_of_json(text: str) -> None:
    assert orjson.loads(without_nul(orjson.dumps([text]).decode())) == [text.replace("\x00", "")]
