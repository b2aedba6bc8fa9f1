"""What people are told to do about an expression that cannot be read, and about what is probably not meant."""

import pytest

from domain.graphflow.definition.documents import parse_definition
from domain.graphflow.validation.context import ValidationContext
from domain.graphflow.validation.problems import Validation
from domain.graphflow.validation.validate import validate

NUMBERS = "{type: object, properties: {n: {type: number}, i: {type: integer}, o: {type: object, properties: {p: {type: number}}}}}"  # noqa: E501


def proven(condition: str, more: str = "") -> Validation:
    quoted = condition.replace("'", "''")
    return validate(
        parse_definition(
            f"name: x\ninput: {NUMBERS}\nnodes: [{{id: a, type: transform, set: {{x: '1'}}{more}}}, "
            "{id: b, type: transform, set: {x: '1'}}]\n"
            f"edges: [{{from: a, to: b, when: '{quoted}'}}]"
        ),
        ValidationContext(agents={}),
    )


WRITTEN: list[tuple[str, str]] = [
    ("{{ input.i == 1 }}", "Leave the {{ }} out"),
    ("${input.i == 1}", "Leave the ${ } out"),
    ("input.i == 1 and input.i == 2", "Write && for and"),
    ("input.i == 1 or input.i == 2", "Write || for or"),
    ("not has(input.i)", "Write ! for not"),
    ("input.i === 1", "Write == for ==="),
    ("input.i !== 1", "Write != for !=="),
    ("input.i = 1", "Write == to compare"),
    ("input.i <> 1", "Write != for <>"),
    ("input.i == 1 & input.i == 2", "Write && for &"),
    ("input.i ?? 1 == 1", "has(a.b) ? a.b : c"),
    ("if input.i == 1 then true else false", "condition ? one : other"),
    ("[1].exists(x => x > 1)", "list.map"),
    ("input.i is 1", "Write == for is"),
    ("input.i == None", "Write null"),
    ("input.i == 1 == True", "Write true"),
    ("input.i == “1”", "straight quotes"),
    ("input.i == ", "Write it as CEL has it"),
    ("input.i > 'x and {{ y }}'", "Compare and join values of one type"),
    ("inptu.i == 1", "An expression reads input"),
]


@pytest.mark.parametrize(("written", "told"), WRITTEN, ids=[each for each, _ in WRITTEN])
def test_the_hint_is_about_what_was_written(written: str, told: str) -> None:
    [problem] = [each for each in proven(written).errors if each.code == "bad_expression"]
    assert told in problem.fix


@pytest.mark.parametrize(
    ("counts", "path"),
    [("input.n * 1.1 > 2.0", "input.n"), ("input.n + 1 > 2", "input.n"), ("2 / input.n > 1", "input.n"),
     ("[1].all(x, x - input.o.p > 1)", "input.o.p")],
)  # fmt: skip
def test_a_number_that_may_be_whole_is_warned_of_where_it_is_counted_with(counts: str, path: str) -> None:
    found = proven(counts)
    assert found.valid
    [warning] = [each for each in found.warnings if each.code == "may_be_whole"]
    assert f"double({path})" in warning.fix


@pytest.mark.parametrize("fine", ["double(input.n) * 1.1 > 2.0", "input.i * 2 > 1", "input.n > 3", "input.n == 2.5"])
def test_what_counts_either_way_is_not_warned_of(fine: str) -> None:
    assert "may_be_whole" not in [each.code for each in proven(fine).warnings]


def test_a_retry_that_never_takes_effect_is_warned_of() -> None:
    listed = "{id: m, type: map, over: '[1]', node: {type: transform, set: {x: '1'}}, retry: {attempts: 2}%s}"
    for more, codes in ((", on_item_error: continue", ["retry_unused"]), ("", [])):
        found = validate(parse_definition(f"name: x\nnodes: [{listed % more}]"), ValidationContext(agents={}))
        assert [each.code for each in found.warnings] == codes
