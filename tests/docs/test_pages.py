"""What the pages point at exists."""

import re
from pathlib import Path

import pytest

from tests.servers import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECORDS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
_PATH = re.compile(r"`((?:[\w.-]+/)*(?:[\w-]+/|[\w.-]+\.(?:py|sql|toml|yml|md)))`")
_DATA = ("data/", "run/", "logs/", "postgres/", "temporal/", "valkey/")  # below the data directory


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = {path for path in _PATH.findall(page.read_text()) if not path.startswith(_DATA)}
    assert {path for path in named if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_lines_are_not_longer_than_a_table_needs(page: Path) -> None:
    prose = re.sub(r"```.+?```", "", page.read_text(), flags=re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize("record", RECORDS, ids=name)
def test_a_decision_says_why_what_follows_and_what_else_was_possible(record: Path) -> None:
    text = record.read_text()
    parts = re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE)
    assert parts == ["Context", "Decision", "Consequences", "Alternatives"]
    assert text.startswith(f"# {record.name[:4]} ")
    assert len(text.split()) < 450, "one page"


def test_decisions_are_numbered_and_listed() -> None:
    numbers = [int(record.name[:4]) for record in RECORDS]
    assert numbers == list(range(1, len(RECORDS) + 1))
    listed = re.findall(r"\]\((\d{4}-[^)]+)\)", (ROOT / "docs/decisions/README.md").read_text())
    assert listed == [record.name for record in RECORDS]
