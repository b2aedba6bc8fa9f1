"""Links, files and decision records of the pages exist and have their form."""

import re
from pathlib import Path

import pytest

from tests.servers import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LIST = ROOT / "docs/decisions/README.md"
RECORDS = sorted(LIST.parent.glob("[0-9]*.md"))
STUBS = [record for record in RECORDS if "\nReplaced by [" in record.read_text()]
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


@pytest.mark.parametrize("record", [record for record in RECORDS if record not in STUBS], ids=name)
def test_a_decision_has_context_consequences_and_alternatives(record: Path) -> None:
    text = record.read_text()
    parts = re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE)
    assert parts == ["Context", "Decision", "Consequences", "Alternatives"]
    assert text.startswith(f"# {record.name[:4]} ")
    assert len(text.split()) < 450, "one page"


@pytest.mark.parametrize("stub", STUBS, ids=name)
def test_a_replaced_decision_is_a_stub_that_names_its_successor(stub: Path) -> None:
    text = stub.read_text()
    assert text.startswith(f"# {stub.name[:4]} ")
    assert len(text.split("\n\n")) == 2
    assert len(text.replace("\n\n", "\n").splitlines()) <= 3
    (successor,) = re.findall(r"^Replaced by \[\d{4}\]\(([^)]+)\)", text, re.MULTILINE)
    assert f"\nReplaces [{stub.name[:4]}]({stub.name})." in (stub.parent / successor).read_text()


def test_decisions_are_numbered_and_listed_by_their_titles() -> None:
    numbers = [int(record.name[:4]) for record in RECORDS]
    assert numbers == list(range(1, len(RECORDS) + 1))
    listed = re.findall(r"\| \[(\d{4})\]\(([^)]+)\) \| (.+?)(?: \(replaced by \d{4}\))? \|", LIST.read_text())
    titles = {record.name: record.read_text().partition("\n")[0] for record in RECORDS}
    assert {page: f"# {number} {title}" for number, page, title in listed} == titles
    assert [page for _, page, _ in listed] == [record.name for record in RECORDS]
