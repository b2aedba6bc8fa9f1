"""Fuzzing every operation that `/openapi.json` describes, over the wire."""

from collections.abc import Callable
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = 60
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
    tried = []
    for found in described.get_all_operations():
        operation = found.ok()
        if not wanted(operation.path):
            continue
        fuzz(operation, mode)
        tried.append(operation.label)
    assert len(tried) > 10


def fuzz(operation: Any, mode: GenerationMode) -> None:
    """Send what fits the description (or, in the other mode, what does not) and compare the answers with it."""

    @given(operation.as_strategy(mode))
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    def send(case: schemathesis.Case[Any]) -> None:
        assert_enveloped(case.call_and_validate(checks=CHECKS))

    try:
        send()
    except Unsatisfiable:  # nothing can be wrong about a request without parameters
        assert mode is GenerationMode.NEGATIVE
