"""The page on workflows agrees with the code."""

import re
from pathlib import Path

import pytest
import yaml

from activities.graphflow.node_end import MOST_OUTPUT
from activities.tools.toolbox.costs import QueryCosts
from activities.tools.toolbox.knowledge import SearchKnowledge
from activities.tools.toolbox.projects import QueryProjects
from activities.tools.toolbox.talents import FindTalents
from adapters.web.fetch import WebFetch
from domain.graphflow.definition import documents
from domain.graphflow.definition.model import MOST_EDGES, MOST_NODES, MOST_VISITS, NodeFields, definition_schema
from domain.graphflow.definition.node_types import LONGEST_EXPRESSION, MOST_ITEMS
from domain.graphflow.expressions.cel import evaluate
from domain.graphflow.expressions.cost import MOST_ROUNDS
from domain.graphflow.validation.validate import validate
from tests.graphflow.test_readymade import KNOWN
from tests.servers import ROOT

PAGE = (ROOT / "docs/graphflow.md").read_text()
CODE = re.compile(r'Problem\(\s*f?"([a-z_{}]+)"')


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_its_example_is_valid_and_nothing_in_it_is_doubtful() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    found = validate(documents.parse_definition(example), KNOWN)
    assert found.errors == ()
    assert found.warnings == ()


def test_it_names_every_kind_of_node_and_every_field_of_all() -> None:
    kinds = re.findall(r"^\| `(\w+)` \|", section("Nodes"), re.MULTILINE)
    schema = definition_schema()["properties"]["nodes"]["items"]["discriminator"]["mapping"]
    assert {each for each in kinds if each in schema} == set(schema)
    assert {each for each in kinds if each not in schema} == (set(NodeFields.model_fields) - {"id"}) | {"type"}


def test_it_names_every_error_and_warning() -> None:
    checks = ("references", "structure", "data_flow", "arguments")
    sources = [(ROOT / f"domain/graphflow/validation/{name}.py").read_text() for name in checks]
    codes = {code for source in sources for code in CODE.findall(source)}
    codes = (codes - {"unknown_{kind}"}) | {"unknown_agent", "unknown_tool", "unknown_mode"}
    rows = section("Validation")
    named = re.findall(r"`([a-z_]+)`", rows)
    assert sorted(named) == sorted(codes)
    warned = {
        code for row in rows.splitlines() if row.count("|") == 4 for code in re.findall(r"`(\w+)`", row.split("|")[3])
    }
    told = yaml.safe_load((Path(__file__).parent / "broken.yaml").read_text())
    assert {case["code"] for case in told} == codes - warned


DATA = {"input": {"name": " Ada ", "tags": ["a", "b"], "line": "a, b", "at": "2026-01-31T09:00:00Z", "n": 3}}
FUNCTIONS = {
    "size()": "size(input.tags) == 2", "type()": "type(1) == int", "int()": "int('3') == 3", "uint()": "uint(3) == 3u",
    "double()": "double(input.n) * 1.5 == 4.5", "contains": "input.line.contains('a')",
    "startsWith": "input.line.startsWith('a')", "endsWith": "input.line.endsWith('b')",
    "matches": "input.line.matches('^a')", "split": "input.line.split(', ') == ['a', 'b']",
    "join": "input.tags.join('-') == 'a-b'", "lower": "'ÄB'.lower() == 'äb'", "upper": "'ä'.upper() == 'Ä'",
    "lowerAscii": "'AB'.lowerAscii() == 'ab'", "upperAscii": "'ab'.upperAscii() == 'AB'",
    "trim": "input.name.trim() == 'Ada'", "replace": "input.line.replace(', ', '') == 'ab'",
    "substring": "input.line.substring(3) == 'b'", "indexOf": "input.line.indexOf('b') == 3",
    "lastIndexOf": "input.line.lastIndexOf('b') == 3", "charAt": "input.line.charAt(0) == 'a'",
    "reverse": "'ab'.reverse() == 'ba'", "format": "'%s: %d'.format(['n', input.n]) == 'n: 3'",
    "string()": "string(input.n) == '3'", "map": "input.tags.map(t, t + '!') == ['a!', 'b!']",
    "filter": "input.tags.filter(t, t > 'a') == ['b']", "all": "input.tags.all(t, t != 'c')",
    "exists": "input.tags.exists(t, t == 'a')", "exists_one": "input.tags.exists_one(t, t == 'a')",
    "timestamp()": "timestamp(input.at) < timestamp('2027-01-01T00:00:00Z')",
    "duration()": "duration('1h') > duration('1m')", "getFullYear()": "timestamp(input.at).getFullYear() == 2026",
    "has(a.b)": "!has(input.none)", "in": "'a' in input.tags",
}  # fmt: skip
_SIGNS = {"a ? b : c", "[0]"}


def test_every_function_that_it_names_is_there_and_it_names_all_of_these() -> None:
    rows = [row for row in section("Expressions").splitlines() if row.startswith("| ")][1:]
    named = {each for row in rows for each in re.findall(r"`([^`]+)`", row.split("|", 2)[2]) if each[0].isalpha()}
    assert named - _SIGNS == set(FUNCTIONS)


@pytest.mark.parametrize("expression", [*FUNCTIONS.values(), "input.name.trim().lower() == 'ada'",
                                        "input.line.split(',').map(each, each.trim()) == ['a', 'b']"])  # fmt: skip
def test_functions_do_what_they_are_there_for(expression: str) -> None:
    assert evaluate(expression, DATA) is True


def test_what_it_says_of_tools_is_what_their_schemas_say() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section("Tools of nodes"), re.MULTILINE))
    for spec in (QueryCosts.spec, FindTalents.spec, QueryProjects.spec, SearchKnowledge.spec, WebFetch.spec):
        properties = spec.parameters["properties"]
        words = {*properties, *(value for one in properties.values() for value in one.get("enum", ()))}
        assert set(re.findall(r"`(\w+)`", rows[spec.name])) == words


@pytest.mark.parametrize(
    "bound", [MOST_NODES, MOST_EDGES, MOST_VISITS, LONGEST_EXPRESSION, MOST_ITEMS, MOST_ROUNDS, MOST_OUTPUT]
)
def test_it_names_the_bounds(bound: int) -> None:
    assert f"{bound:,}" in PAGE
