"""Fuzzing every operation that `/openapi.json` describes, over the wire.

The examples are a budget of the whole suite, spread over the operations by how much there is to vary in each, so that
more operations do not make it longer. The seed is the day's: a run can be repeated on that day, and later with
`CONVERGIO_FUZZ_SEED`. What has ever failed stands in `corpus/`, and is tried first.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import schemathesis.wfc.escalation  # else the first request imports it, while other threads parse code, too
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz_seed import SEED

BUDGET = 600
"""Examples of one mode, over all operations."""
FEWEST = 3
MOST = 60
CORPUS = Path(__file__).with_name("corpus")
FIRST_ERROR = 400
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


def assert_enveloped(response: Any) -> None:
    """Every answer from 400 up is in the error envelope."""
    if response.status_code >= FIRST_ERROR:
        body = response.json()
        assert body["success"] is False
        assert set(body) == {"success", "error", "timestamp", "request_id"}
        assert set(body["error"]) == {"code", "message", "details"}
        assert response.headers["x-request-id"]


def of_runs(path: str) -> bool:
    """Whether an operation is about runs of workflows and swarms: half of the work, for one process of two."""
    return path.startswith(("/api/v1/workflows", "/api/v1/swarm"))


def assert_nothing_is_found(
    described: Any, mode: GenerationMode, wanted: Callable[[str], bool] = lambda _: True
) -> None:
    """No answer to any operation, of those whose path is `wanted`, is outside its description."""
    operations = [found.ok() for found in described.get_all_operations()]
    in_all = sum(map(weight, operations))
    tried = [operation for operation in operations if wanted(operation.path)]
    for operation in tried:
        examples = min(MOST, max(FEWEST, round(BUDGET * weight(operation) / in_all)))
        fuzz(operation, mode, examples)
    assert len(tried) > 10


def weight(operation: Any) -> int:
    """How much there is to vary: parameters, and the fields of the body in whatever depth."""
    bodies = operation.definition.raw.get("requestBody", {}).get("content", {})
    schemas = operation.schema.raw_schema["components"]["schemas"]
    fields = max((_fields(content.get("schema", {}), schemas, frozenset()) for content in bodies.values()), default=0)
    return 1 + len(list(operation.iter_parameters())) + fields


def _fields(schema: Any, schemas: dict[str, Any], above: frozenset[str]) -> int:
    if isinstance(schema, list):
        return sum(_fields(each, schemas, above) for each in schema)
    if not isinstance(schema, dict):
        return 0
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name:
        return 0 if name in above else _fields(schemas.get(name, {}), schemas, above | {name})
    own = len(schema.get("properties", {}))
    return own + sum(_fields(value, schemas, above) for value in schema.values())


def fuzz(operation: Any, mode: GenerationMode, examples: int) -> None:
    """Send what fits the description (or, in the other mode, what does not) and compare the answers with it."""

    @seed(SEED)
    @given(operation.as_strategy(mode))
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def send(case: schemathesis.Case[Any]) -> None:
        try:
            assert_enveloped(case.call_and_validate(checks=CHECKS))
        except Exception as error:
            error.add_note(f"seed {SEED}; for {CORPUS.name}/: {recorded(case)}")
            raise

    try:
        send()
    except Unsatisfiable:  # nothing can be wrong about a request without parameters
        assert mode is GenerationMode.NEGATIVE


def recorded(case: Any) -> str:
    """A case as a line of the corpus."""
    parts = {name: getattr(case, name) for name in ("path_parameters", "query", "headers", "body", "media_type")}
    given_parts = {
        name: dict(value) if name == "headers" else value
        for name, value in parts.items()
        if value is not NOT_SET and value
    }
    return json.dumps({"method": case.method, "path": case.operation.path, **given_parts}, default=repr)


def corpus() -> list[Any]:
    """Every case that has failed once."""
    lines = [line for file in sorted(CORPUS.glob("*.jsonl")) for line in file.read_text().splitlines()]
    return [pytest.param(json.loads(line), id=f"{n}-{json.loads(line)['path']}") for n, line in enumerate(lines)]


def assert_replayed(described: Any, entry: dict[str, Any]) -> None:
    """The answer to a case of the corpus is within its description."""
    rest = {name: value for name, value in entry.items() if name not in {"method", "path"}}
    case = described[entry["path"]][entry["method"]].Case(**rest)
    assert_enveloped(case.call_and_validate(checks=CHECKS))
