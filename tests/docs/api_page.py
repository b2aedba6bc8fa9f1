"""Renders `docs/api.md` from the OpenAPI description, which it reads from standard input.

`curl -s http://127.0.0.1:8000/openapi.json | python -m tests.docs.api_page > docs/api.md` writes the page anew.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = """\
# The API

Every operation that the API serves, by topic. `/docs` and `/redoc` of a running system show the same with all
fields, and `/openapi.json` is the description itself. It begins with the rules for all operations (errors, repeats,
versions, rate limit); see also [Operations](operations.md).

`tests/docs/api_page.py` renders this page from the description; a test compares them.
"""


def page(description: Mapping[str, Any]) -> str:
    """Return the page for an OpenAPI description, one table for each tag that has operations."""
    topics: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            topics.setdefault(operation["tags"][0], []).append(_row(method, path, operation))
    order = [tag["name"] for tag in description["tags"]]
    return "\n".join([_HEAD, *(part for tag in order if tag in topics for part in _topic(tag, topics[tag]))])


def _topic(tag: str, rows: list[str]) -> Iterator[str]:
    yield f"## {tag}\n"
    yield "| Request | Description | Parameters |"
    yield "|---|---|---|"
    yield from rows
    yield ""


def _row(method: str, path: str, operation: Mapping[str, Any]) -> str:
    does = operation["description"].split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    return f"| `{method.upper()} {path}` | {does} | {', '.join(_parameters(operation))} |"


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        if parameter.get("in") == "query":  # parameters of all operations are references, described at the top
            yield f"`{parameter['name']}`" + (" (required)" if parameter.get("required") else "")


if __name__ == "__main__":
    sys.stdout.write(page(json.load(sys.stdin)))
