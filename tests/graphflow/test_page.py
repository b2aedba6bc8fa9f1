"""The page on workflows says what is so."""

import re
from pathlib import Path

import pytest
import yaml

from domain.graphflow import documents
from domain.graphflow.definition import MOST_EDGES, MOST_NODES, MOST_VISITS, Place, definition_schema
from domain.graphflow.validation import validate
from domain.graphflow.work import LONGEST_EXPRESSION
from tests.graphflow.test_readymade import KNOWN
from tests.servers import ROOT

PAGE = (ROOT / "docs/graphflow.md").read_text()
CODE = re.compile(r'Problem\(\s*f?"([a-z_{}]+)"')


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_its_example_is_valid_and_nothing_in_it_is_doubtful() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    found = validate(documents.parse(example), KNOWN)
    assert found.errors == ()
    assert found.warnings == ()


def test_it_names_every_kind_of_node_and_every_field_of_all() -> None:
    kinds = re.findall(r"^\| `(\w+)` \|", section("Nodes"), re.MULTILINE)
    schema = definition_schema()["properties"]["nodes"]["items"]["discriminator"]["mapping"]
    assert {each for each in kinds if each in schema} == set(schema)
    assert {each for each in kinds if each not in schema} == (set(Place.model_fields) - {"id"}) | {"type"}


def test_it_names_every_error_and_warning() -> None:
    checks = ("naming", "structure", "reading", "passing")
    sources = [(ROOT / f"domain/graphflow/{name}.py").read_text() for name in checks]
    codes = {code for source in sources for code in CODE.findall(source)}
    codes = (codes - {"unknown_{kind}"}) | {"unknown_agent", "unknown_tool", "unknown_mode"}
    rows = section("What is proven before a run")
    named = re.findall(r"`([a-z_]+)`", rows)
    assert sorted(named) == sorted(codes)
    warned = {
        code for row in rows.splitlines() if row.count("|") == 4 for code in re.findall(r"`(\w+)`", row.split("|")[3])
    }
    told = yaml.safe_load((Path(__file__).parent / "broken.yaml").read_text())
    assert {case["code"] for case in told} == codes - warned


@pytest.mark.parametrize("bound", [MOST_NODES, MOST_EDGES, MOST_VISITS, LONGEST_EXPRESSION])
def test_it_names_the_bounds(bound: int) -> None:
    assert f"{bound:,}" in PAGE
