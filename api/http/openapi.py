"""The OpenAPI description: FastAPI's description of the routes, and the rules that hold for all of them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from api.http.idempotency import MAX_KEY
from api.http.rate_limit import LOGINS
from api.http.schemas import ErrorEnvelope

TAKES_YAML = "x-takes-yaml"
"""Marks an operation whose body may be YAML; the mark is removed once the media type is added."""
TITLE = "Convergio API"
SUMMARY = "Durable AI agents: chats, swarms, workflows and approvals that survive crashes."
DESCRIPTION = """\
Durable AI agents over REST.

**Responses** are exactly the documented body. With `?envelope=true`, or `Accept:
application/vnd.convergio.envelope+json`, they are wrapped in `{success, data, timestamp, request_id}`.

**Errors**, from 400 up, have the form `{success: false, error: {code, message, details}, timestamp, request_id}`.

**Repeats**: a POST with an `Idempotency-Key` can be repeated safely for 24 hours. A success (2xx) and a `409` are
replayed (`Idempotency-Replayed: true`); any other refusal has changed nothing, so the request runs again. After a `202`
that names work to poll, a repeat joins that work and reports its state. The same key with another body is a `409`.

**Tenants**: a key acts in a tenant, `default` unless it names another one. Everything created with a key belongs to its
tenant, and all keys of the tenant can read and continue it. Resources of other tenants are a `404`, and part of no list
or sum. All tenants can use the built-in agents and workflows; none can change them (`403`).

**Versions**: resources carry `version` and `ETag`; `PUT` and `DELETE` honour `If-Match`.

**Rate limit**: `X-RateLimit-Limit`, `-Remaining` and `-Reset` (Unix seconds) on every limited response; a `429` carries
`Retry-After`.

**Reads** include all earlier writes; if a view does not catch up in time, the response has `X-Convergio-Stale: true`.

Integers beyond 64 bits are parsed as floating-point numbers: send them as text to keep all digits.
Times are UTC, money is US dollars with up to 6 decimals. Bodies are JSON of 1 MiB at most; workflow definitions may be
YAML of 128 KiB at most; tables to import are CSV of 10 MiB at most.
"""
TAGS = (
    "Health", "Monitoring", "Talents", "AI Agents", "Ali Intelligence", "Vector Search", "Cost Management", "Analytics",
    "Workflows", "Projects & Clients", "Agent Management", "Swarm Coordination", "Approvals", "Agent Signatures",
    "Component Serialization", "Governance", "Telemetry", "User Keys", "Agent Ecosystem", "Admin",
    "Audit", "Schedules",
)  # fmt: skip

_REASONS = {
    400: "The request is malformed",
    401: "The API key is missing or wrong",
    403: "The API key or the web origin is not allowed to do this",
    404: "The resource does not exist",
    405: "The path does not support this method",
    409: "The request conflicts with the current state",
    412: "`If-Match` does not match the current version",
    413: "The body is too large",
    415: "The media type of the body is not supported",
    422: "The request is invalid",
    429: "Too many requests, or over budget",
    500: "An internal error",
    502: "The model provider failed",
    503: "A required service cannot be reached",
}
_ANYWHERE = (400, 401, 403, 422, 429, 500, 503)
_SCHEMA = "#/components/schemas/ErrorEnvelope"
_KEYS: list[dict[str, list[str]]] = [{"bearer": []}, {"api_key": []}]
_NO_NUL = r"^[^\x00]*$"
_ANY_JSON = {"$ref": "#/components/schemas/Json"}
_JSON: dict[str, Any] = {
    "description": "Any JSON without NUL characters.",
    "anyOf": [
        {"type": ["null", "boolean", "number"]},
        {"type": "string", "pattern": _NO_NUL},
        {"type": "array", "items": _ANY_JSON},
        {"type": "object", "additionalProperties": _ANY_JSON, "propertyNames": {"pattern": _NO_NUL}},
    ],
}
_OPEN = frozenset({"/health", "/health/live", "/health/ready"})


def complete_schema(schema: dict[str, Any], *, auth_on: bool) -> dict[str, Any]:
    """Add the rules of the web layer to FastAPI's description of every operation."""
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    error = ErrorEnvelope.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(error.pop("$defs"), ErrorEnvelope=error)
    components["responses"] = {f"Error{status}": _response(reason) for status, reason in _REASONS.items()}
    components["parameters"] = _parameters()
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "`cvg_…`, or a token of an identity provider"},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    _forbid_nul(schema)
    used, names = set(), Counter(operation["summary"] for _, _, operation in _operations(schema))
    for path, method, operation in _operations(schema):
        _extend_operation(path, method, operation)
        _add_yaml(operation)
        used.update(operation.get("tags", ()))
        if names[operation["summary"]] == 1:
            operation["operationId"] = operation["summary"].lower().replace(" ", "_")
        if auth_on and path not in _OPEN and (method.upper(), path) not in LOGINS:
            operation["security"] = _KEYS
    schema["tags"] = [{"name": tag} for tag in TAGS if tag in used]
    return schema


def _add_yaml(operation: dict[str, Any]) -> None:
    """Add the YAML media type where the body may be YAML."""
    if operation.pop(TAKES_YAML, False):
        content = operation["requestBody"]["content"]
        content["application/yaml"] = content["application/json"]


def _operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _extend_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    statuses = [*_ANYWHERE]
    if "{" in path:
        statuses.append(404)
    if "requestBody" in operation or method in {"post", "put", "patch", "delete"}:
        statuses += (404, 409, 413, 415)
    if method in {"put", "delete", "patch"}:
        statuses.append(412)
    if method == "post":
        statuses.append(502)
        operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
    operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/RequestId"})
    for status in sorted({*statuses}):
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/Error{status}"}


def _forbid_nul(schema: dict[str, Any]) -> None:
    """State for every input text that it has no NUL, which PostgreSQL cannot store."""
    schemas = schema["components"]["schemas"]
    pending = [operation.get("requestBody", {}) for _, _, operation in _operations(schema)]
    pending += [operation.get("parameters", []) for _, _, operation in _operations(schema)]
    seen = set()
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            _forbid_nul_in(node)
            name = str(node.get("$ref", "")).removeprefix("#/components/schemas/")
            if name in schemas and name not in seen:
                seen.add(name)
                pending.append(schemas[name])
        pending += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    schemas["Json"] = _JSON


def _forbid_nul_in(node: dict[str, Any]) -> None:
    if node.get("type") == "string" and not node.keys() & {"pattern", "format", "enum", "const"}:
        node["pattern"] = _NO_NUL
    elif node.get("type") == "string" and re.search(node.get("pattern", "."), "\0"):
        node["allOf"] = [{"pattern": _NO_NUL}]
    if node.get("type") == "object" and node.get("additionalProperties") is True:
        node.update(additionalProperties=_ANY_JSON, propertyNames={"pattern": _NO_NUL})


def _response(reason: str) -> dict[str, Any]:
    return {"description": reason, "content": {"application/json": {"schema": {"$ref": _SCHEMA}}}}


def _parameters() -> dict[str, Any]:
    return {
        "RequestId": {
            "name": "X-Request-ID",
            "in": "header",
            "required": False,
            "description": "The id of this request in responses and logs: at most 128 visible ASCII characters.",
            "schema": {"type": "string"},
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "Makes repeats safe. Stored for 24 hours.",
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$"},
        },
    }
