"""Deterministic and random identifiers. None depends on ids of Temporal."""

from uuid import UUID, uuid4, uuid5

NAMESPACE = UUID("6d0c5a3e-4a7f-5f0b-9c58-0f2d9e6b7a11")
"""Namespace of all name-based ids of this platform (RFC 9562, version 5)."""


RESERVED = (
    "alert_",
    "approval_",
    "call_",
    "chat-",
    "component_",
    "cvg_",
    "decision_",
    "document_",
    "embedding_",
    "erasure-",
    "erasure_",
    "event_",
    "exec_",
    "firing-",
    "firing_",
    "ingest-",
    "insight_",
    "key_",
    "member_",
    "reconciliation_",
    "req_",
    "runbook_",
    "schedule_",
    "submission_",
    "task_",
    "workflow_",
)
"""Prefixes of the platform's own ids: of runs, of owners of texts, of requests and of keys.

A caller's session with such a name would own the texts of a run, or be taken for one. Ids of sessions that the
platform creates begin with `session_`, which is not reserved: callers continue them.
"""


def is_reserved(name: str) -> bool:
    """Return True if only the platform may create this id."""
    return name.startswith(RESERVED)


def derived_id(*parts: object) -> str:
    """Return the `uuid5` of these parts, joined by a character that no part may contain: same parts, same id."""
    return str(_derive_uuid(parts))


def derived_hex(*parts: object) -> str:
    """Return `derived_id` without its hyphens, for ids with a prefix: these have the form of `random_id`."""
    return _derive_uuid(parts).hex


def _derive_uuid(parts: tuple[object, ...]) -> UUID:
    return uuid5(NAMESPACE, "\x1f".join(str(part) for part in parts))


def random_id(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex}"


def message_id(session_id: str, idempotency_key: str | None) -> str:
    """Return the id of one message in a session: the same key gives the same message."""
    return derived_id("message", session_id, idempotency_key if idempotency_key is not None else uuid4())


def call_id(intent: str, step: int) -> str:
    """Return the id of one model call: step `step` (from 1) of the message, task or node `intent`."""
    return derived_id("call", intent, step)


def nested_session_id(root: str, name: str) -> str:
    """Return the id of a session nested in a run or session; no id that callers choose contains a slash."""
    return f"{root}/{name}"


def root_of(session_id: str) -> str:
    """Return the run or session that owns the texts: the outermost of a nested session, or itself."""
    return session_id.partition("/")[0]
