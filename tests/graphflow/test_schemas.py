"""JSON Schemas that others wrote: they can be used or say why not, nothing is fetched, and everything ends."""

import contextlib
import multiprocessing
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain.graphflow.definition.documents import definition_from
from domain.graphflow.validation.context import ValidationContext
from domain.graphflow.validation.validate import validate
from domain.json_schema import validation as schemas
from domain.json_schema.depth import DEEPEST
from domain.json_schema.validation import DIALECT, UnusableSchema, unusable_reason, violations
from domain.separate_process import LONGEST_S

_START_S = 2.0
"""Seconds of CPU that starting a process takes at most: it imports what it works with."""
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


@contextlib.contextmanager
def cpu_bounded(most_s: float) -> Iterator[None]:
    """Fail if this process and those that work for it use more CPU, of which a busy machine needs no more."""
    before = cpu_s()
    yield
    assert cpu_s() - before < most_s


def cpu_s() -> float:
    """The seconds of CPU of this process and its processes for work: those that live, and those that were killed."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = time.process_time() + ended.ru_utime + ended.ru_stime
    for child in multiprocessing.active_children():
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(child.pid).cpu_times()
            spent += times.user + times.system
    return spent


def of_texts(pattern: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


UNUSABLE: list[tuple[str, dict[str, Any], str]] = [
    ("a reference to nothing", {"properties": {"a": {"$ref": "#/$defs/no"}}}, "does not exist"),
    ("a reference to nothing far below", {"$defs": {"b": {"items": {"anyOf": [{"$ref": "#/$defs/c"}]}}},
                                          "properties": {"a": {"$ref": "#/$defs/b"}}}, "does not exist"),
    ("a reference into a text", {"title": "t", "properties": {"a": {"$ref": "#/title"}}}, "title"),
    ("an anchor that nobody set", {"properties": {"a": {"$ref": "#here"}}}, "does not exist"),
    ("a dynamic anchor that nobody set", {"properties": {"a": {"$dynamicRef": "#here"}}}, "does not exist"),
    ("a reference to the web", {"properties": {"a": {"$ref": "http://127.0.0.1:1/x.json"}}}, "127.0.0.1"),
    ("a reference to a file", {"properties": {"a": {"$ref": "file:///etc/hostname"}}}, "hostname"),
    ("a base on the web", {"$id": "http://127.0.0.1:1/", "properties": {"a": {"$ref": "x.json"}}}, "127.0.0.1"),
    ("a pattern that is none", of_texts("(a"), "regex"),
    ("a pattern too large to be compiled", of_texts("((a{1000}){1000}){1000}"), "regex"),
    ("a key's pattern that is none", {"patternProperties": {"[": {}}}, "regex"),
    ("an unknown type", {"properties": {"a": {"type": "colour"}}}, "colour"),
    ("an older dialect", {"$schema": DRAFT_7}, "$schema"),
    ("a dialect that nobody knows", {"$schema": "http://example.org/mine"}, "$schema"),
    ("a dialect that is no text", {"$schema": 7}, "$schema"),
    ("a list of items, as older dialects have it", {"properties": {"a": {"items": [{"type": "string"}]}}}, "items"),
    ("a schema that is very deep", {"properties": nested(150)}, "nested"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "said"), [each[1:] for each in UNUSABLE], ids=[each[0] for each in UNUSABLE])
def test_a_schema_that_cannot_be_used_says_why(schema: dict[str, Any], said: str) -> None:
    assert said in (unusable_reason({"type": "object", **schema}) or "")


@pytest.mark.parametrize("field", ["input", "output", "output of an item"])
@pytest.mark.parametrize("schema", [each[1] for each in UNUSABLE[:12]], ids=[each[0] for each in UNUSABLE[:12]])
def test_a_definition_with_such_a_schema_is_not_proven(schema: dict[str, Any], field: str) -> None:
    whole = {"type": "object", **schema}
    answer = {"type": "agent", "agent": "ann", "prompt": "p"}
    node: dict[str, Any] = {"id": "a", **answer}
    if field == "output":
        node["output"] = whole
    if field == "output of an item":
        node = {"id": "a", "type": "map", "over": "[1]", "node": {**answer, "output": whole}}
    document = {"name": "x", "nodes": [node], **({"input": whole} if field == "input" else {})}
    found = validate(definition_from(document), ValidationContext(agents={"ann": 0}))  # type: ignore[dict-item]
    assert [problem.code for problem in found.errors] == ["bad_schema"]


def test_nothing_is_ever_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1)
        there = f"http://127.0.0.1:{server.getsockname()[1]}/x.json"
        for schema in ({"$ref": there}, {"$schema": there}, {"$id": there, "$ref": "y.json"}, {"$dynamicRef": there}):
            assert unusable_reason({"type": "object", **schema}, older=True)
            with pytest.raises(UnusableSchema):
                violations({"type": "object", **schema}, {"a": 1}, most=3, older=True)
        with pytest.raises(TimeoutError):
            server.accept()


LONG = "a" * 60_000 + "!"
PATTERNS = ["^(a+)+$", "^(a|a)*$", "(a*)*b", "^(a|aa)+$", "(.*a){25}", "(a{100}){100}b", r"^(([a-z])+.)+[A-Z]([a-z])+$",
            "^(?=(a+)+$)", r"^(a+)\1+$", r"^(?!(a|a)*b)(a|a)*$"]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_end_whatever_the_text(pattern: str) -> None:
    for schema, value in ((of_texts(pattern), {"a": LONG}), ({"patternProperties": {pattern: {}}}, {LONG: 1})):
        with cpu_bounded(LONGEST_S + 2 * _START_S):
            assert unusable_reason(schema) is None
            with contextlib.suppress(UnusableSchema):
                violations(schema, value, most=3)


def test_look_arounds_are_matched() -> None:
    schema = of_texts(r"^(?!.*\.\.)[a-z.]+$")
    assert violations(schema, {"a": "a.b"}, most=3) == ()
    assert [flaw.path for flaw in violations(schema, {"a": "a..b"}, most=3)] == ["a"]


def test_schemas_that_branch_without_end_are_given_up() -> None:
    branch = {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["a"]}
    schema = {"$defs": {"n": {"anyOf": [branch, branch]}}, "$ref": "#/$defs/n"}
    with cpu_bounded(LONGEST_S + _START_S), pytest.raises(UnusableSchema, match="it took more than"):
        violations(schema, nested(40), most=3)


def test_schemas_that_refer_to_themselves_are_followed() -> None:
    tree = {"type": "object", "properties": {"a": {"$ref": "#"}}, "additionalProperties": False}
    assert unusable_reason(tree) is None
    assert violations(tree, {"a": {"a": {}}}, most=3) == ()
    assert [flaw.path for flaw in violations(tree, {"a": {"a": {"b": 1}}}, most=3)] == ["a.a"]
    itself = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
    assert violations(itself, 1, most=3) == ()


@pytest.mark.parametrize("depth", [DEEPEST + 1, 254, 255, 1_000, 100_000])
def test_a_value_that_is_too_deep_has_a_flaw(depth: int) -> None:
    assert "nested" in str(violations({}, nested(depth), most=3)[0])


@pytest.mark.parametrize("value", [{"a": 10**400}, {"a": "\ud800"}, {"\ud800": 1}, {"a": float}], ids=str)
def test_a_value_that_is_no_json_has_a_flaw(value: Any) -> None:
    assert "JSON" in str(violations({}, value, most=3)[0])


def test_a_tool_may_say_which_older_dialect_its_schema_is_of() -> None:
    schema = {"$schema": DRAFT_7, "type": "object", "properties": {"a": {"items": [{"type": "string"}]}}}
    assert unusable_reason(schema, older=True) is None
    assert unusable_reason({**schema, "$schema": DIALECT}, older=True)
    assert violations(schema, {"a": [1]}, most=3, older=True)[0].path == "a[0]"


def test_a_flaw_quotes_a_line_at_most() -> None:
    schema = {"properties": {"a": {"enum": ["x" * 500] * 2}, "b": {"type": "integer"}}, "additionalProperties": False}
    for value in ({"a": LONG}, {"b": LONG}, {LONG: 1}, {"b": [LONG] * 9}):
        assert all(len(flaw.message) < 700 for flaw in violations(schema, value, most=9))


def test_so_many_flaws_are_told_as_are_asked_for() -> None:
    assert len(violations({"items": {"type": "string"}}, [*range(500)], most=7)) == 7


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    return (
        st.fixed_dictionaries({"type": st.just("object"), "properties": properties, "required": st.just(["a"])})
        | st.fixed_dictionaries({"items": inner})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
    )


_SMALL: list[Any] = [{}, {"type": "string"}, {"type": "integer", "minimum": 3}, {"enum": [1, "a"]}, {"const": None}]
_SCHEMAS = st.recursive(st.sampled_from(_SMALL), _larger, max_leaves=5)
_VALUES = st.recursive(
    st.sampled_from([None, 1, 5, "a", "b", True]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=6,
)


@given(_SCHEMAS, _VALUES)
def test_another_library_finds_the_same_values_right(schema: dict[str, Any], value: Any) -> None:
    assert (violations(schema, value, most=3) == ()) == Draft202012Validator(schema).is_valid(value)


ROUNDS = 16
_INTO_DEFS = {f"d{at}": {} for at in range(ROUNDS + 1)}


def branching(before: str) -> dict[str, Any]:
    """Schemas that each stand for three of the next: forty million parts in all, in some hundred characters."""
    threes = {f"d{at}": {"allOf": [{"$ref": f"{before}d{at + 1}"}] * 3} for at in range(ROUNDS)}
    return {**threes, f"d{ROUNDS}": {"minimum": 0}}


PATTERN = {"p": {"pattern": "(a|b|ab)*c$"}}
HIDDEN: list[tuple[str, dict[str, Any], Any]] = [
    ("references with escapes, beside harmless parts of the names that they seem to have",
     {**_INTO_DEFS, "$defs": branching("#/%24defs/"), "$ref": "#/%24defs/d0"}, 1),
    ("a property that is called like a reference",
     {"properties": {"$ref": {"$defs": branching("#/properties/$ref/$defs/"),
                              "$ref": "#/properties/$ref/$defs/d0"}}}, {"$ref": 1}),
    ("a reference by name, in a list", {"allOf": [{"$anchor": "x", "allOf": []}], "$ref": "#/allOf/0"}, 1),
    ("one pattern, referred to very often", {"allOf": [{"$ref": "#/$defs/p"}] * 2_500, "$defs": PATTERN},
     "ab" * 60_000),
    ("one pattern for keys, referred to very often",
     {"propertyNames": {"allOf": [{"$ref": "#/$defs/p"}] * 2_500}, "$defs": PATTERN}, {"ab" * 60_000: 1}),
    ("lengths, counted very often", {"allOf": [{"minLength": 1}] * 2_000}, "é" * 1_000_000),
    ("a long text that is quoted very often",
     {"allOf": [{"oneOf": [{"type": "integer"}, {"type": "null"}]}] * 1_000}, "x" * 1_000_000),
    ("a long text in a list of values", {"allOf": [{"enum": [1, 2]}] * 1_000}, "x" * 1_000_000),
    ("references in a chain that is deeper than a stack",
     {"$defs": {**{f"d{at}": {"$ref": f"#/$defs/d{at + 1}"} for at in range(2_000)}, "d2000": {"type": "null"}},
      "$ref": "#/$defs/d0"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value"), [each[1:] for each in HIDDEN], ids=[each[0] for each in HIDDEN])
def test_work_that_is_hidden_in_a_schema_is_not_done_in_this_process(
    schema: dict[str, Any], value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Apart(Exception):  # noqa: N818  (it says where it is done)
        pass

    def elsewhere(*_: object) -> None:
        raise Apart

    monkeypatch.setattr(schemas, "run_in_process", elsewhere)
    started = time.process_time()
    with pytest.raises(Apart):
        violations(schema, value, most=1)
    assert time.process_time() - started < 1


def test_what_is_wrong_with_a_long_text_is_told_all_the_same() -> None:
    schema = {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {"maxLength": 5}]}}}
    (flaw,) = violations(schema, {"a": "x" * 500_000}, most=3)
    assert (flaw.path, flaw.keyword) == ("a", "anyOf")
    assert len(flaw.message) < 400


def of_patterns(number: int, pattern: str, count: int) -> dict[str, Any]:
    return {"properties": {f"p{number}_{place}": {"pattern": f"{pattern}{place}"} for place in range(count)}}


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        (r"\p{L}" * 8, 300),
        (r"[\p{L}\p{N}]{1,90}", 10),
        (r"\P{Lu}" * 50, 20),
        (r"(?i)[^a\W]{200}", 20),
        (r"(.{50}){20}", 20),
    ],
)
def test_a_schema_whose_patterns_take_much_memory_takes_it_elsewhere(pattern: str, count: int) -> None:
    """Sixteen of these took this process from some MiB to several GiB, for as long as it lived."""
    before = resident_mib()
    for number in range(2):
        unusable_reason(of_patterns(number, pattern, count))
    assert resident_mib() - before < 48


def test_a_schema_that_took_all_memory_there_was_leaves_the_next_one_enough() -> None:
    for number in range(3):
        unusable_reason(of_patterns(number, r"\p{L}" * 8, 300))
        assert unusable_reason(of_patterns(number, r"^[\p{L} ]{1,9}$", 3)) is None


def test_eighty_letters_of_any_script_are_no_large_pattern() -> None:
    names = {"type": "string", "pattern": r"^[\p{L} '-]{1,80}$"}
    schema = {"properties": {"first": names, "last": names, "town": names}}
    assert unusable_reason(schema) is None
    assert violations(schema, {"first": "Łucja", "last": "O'Brien-Ōta", "town": "Ürümqi"}, most=3) == ()
    [flaw] = violations(schema, {"first": "7"}, most=3)
    assert (flaw.path, flaw.keyword) == ("first", "pattern")
