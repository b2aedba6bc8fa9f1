"""The path of a message, as `docs/architecture.md` draws it, consists of types that exist where the page says."""

import re
from importlib import import_module

import pytest

from tests.servers import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text()
SECTION = PAGE.partition("## One message, from the route to the model and back\n")[2].partition("\n## ")[0]
DIAGRAM = SECTION.partition("```mermaid\n")[2].partition("```")[0]
TYPES = re.findall(r"`([A-Z]\w+)` \(`([\w/]+)\.py`\)", SECTION)
CARRIERS = re.findall(r"^\d+\. `([A-Z]\w+)` ", SECTION, re.MULTILINE)
MOST_CARRIERS = 12


def test_a_message_has_at_most_twelve_carriers() -> None:
    assert 0 < len(CARRIERS) <= MOST_CARRIERS


def test_the_diagram_draws_the_carriers_in_the_order_of_the_list() -> None:
    assert list(dict.fromkeys(re.findall(r"\b[A-Z]\w+", DIAGRAM.partition("\n")[2]))) == CARRIERS


def test_every_type_that_is_named_has_its_module() -> None:
    assert {name for name, _ in TYPES} == set(re.findall(r"`([A-Z]\w+)`", SECTION))


@pytest.mark.parametrize(("name", "module"), TYPES)
def test_a_type_is_defined_where_the_page_says(name: str, module: str) -> None:
    defined = getattr(import_module(module.replace("/", ".")), name)
    assert defined.__module__ == module.replace("/", ".")


@pytest.mark.parametrize("package", ["activities", "adapters", "api", "domain", "workflows"])
def test_the_picture_of_the_layers_names_the_packages_of_today(package: str) -> None:
    (line,) = re.findall(rf'^    {package}\["<b>{package}/</b> — (.+)"\]$', PAGE, re.MULTILINE)
    named = {part.partition("/")[0].strip() for part in re.sub(r"\([^)]*\)", "", line).split("·")}
    assert named == {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
