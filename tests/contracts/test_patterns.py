"""Regular expressions of ours take time in proportion to what they read, whatever it is."""

import importlib
import inspect
import pkgutil
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from time import process_time
from typing import Any

import pytest

PACKAGES = ("domain", "activities", "workflows", "api", "adapters", "runtime")
LENGTH = 40_000
MOST_CPU_S = 1.0
"""What is linear takes milliseconds for this length; what is quadratic, minutes."""
METHODS = frozenset({"search", "match", "fullmatch", "sub", "split", "findall", "finditer"})
OF_OUR_OWN_TEXT = frozenset({"api.http.docs._INLINE"})
FILLERS = (
    "a",
    "A",
    "0",
    " ",
    "\n",
    "\t",
    '"',
    "\\",
    "`",
    "(",
    "[",
    "<",
    "{",
    "_",
    "-",
    "+",
    ".",
    ":",
    "/",
    "'",
    "a ",
    "\\u",
)


def _modules() -> Iterator[Any]:
    for package in PACKAGES:
        root = importlib.import_module(package)
        for found in pkgutil.walk_packages(root.__path__, f"{package}."):
            if not found.name.endswith("__main__") and ".migrations" not in found.name:
                yield importlib.import_module(found.name)


@dataclass(frozen=True)
class Use:
    """A pattern, and the methods that its module calls on it; one in a table is searched for."""

    pattern: "re.Pattern[Any]"
    methods: frozenset[str]

    def read(self, text: str) -> None:
        """Do to a text what the module does to it."""
        subject = text if isinstance(self.pattern.pattern, str) else text.encode()
        for method in self.methods:
            if method in {"search", "match", "fullmatch"}:
                getattr(self.pattern, method)(subject)
            else:
                deque(self.pattern.finditer(subject), maxlen=0)


def _uses() -> dict[str, Use]:
    """Every pattern that a module of ours holds, by the name of its place."""
    found = {}
    for module in _modules():
        source = inspect.getsource(module)
        for name, value in vars(module).items():
            patterns = list(_inside(value))
            if not patterns:
                continue
            methods = frozenset(re.findall(rf"\b{re.escape(name)}\.(\w+)\(", source)) & METHODS
            for number, each in enumerate(patterns):
                place = f"{module.__name__}.{name}" + (f"[{number}]" if number else "")
                found[place] = Use(each, methods or frozenset({"search"}))
    return {place: use for place, use in found.items() if place not in OF_OUR_OWN_TEXT}


def _inside(value: Any) -> Iterator["re.Pattern[Any]"]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _inside(each)


def _prefix(pattern: "re.Pattern[Any]") -> str:
    """The characters that every match begins with."""
    letters = []
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    for operation, argument in parser.parse(source, pattern.flags & ~re.UNICODE):
        if operation is not codes.LITERAL:
            break
        letters.append(chr(argument))
    return "".join(letters)


USES = _uses()


@pytest.mark.parametrize("place", USES)
def test_no_text_makes_a_pattern_slow(place: str) -> None:
    use = USES[place]
    for prefix, filler, end in product({"", _prefix(use.pattern), '"'}, FILLERS, ("", "!", "\0")):
        for text in (prefix + filler * (LENGTH // len(filler)) + end, (prefix + filler) * (LENGTH // 8) + end):
            began = process_time()
            use.read(text)
            assert process_time() - began < MOST_CPU_S, (place, prefix, filler, end)


def test_there_are_patterns_to_try() -> None:
    assert len(USES) > 30
