"""Deterministic and random identifiers. Nothing from Temporal enters them."""

from uuid import UUID, uuid4, uuid5

NAMESPACE = UUID("6d0c5a3e-4a7f-5f0b-9c58-0f2d9e6b7a11")
"""Namespace of all name-based ids of this platform (RFC 9562, version 5)."""


RESERVED = (
    "approval_",
    "chat-",
    "cvg_",
    "decision_",
    "document_",
    "event_",
    "exec_",
    "ingest-",
    "insight_",
    "key_",
    "member_",
    "req_",
    "runbook_",
    "task_",
    "workflow_",
)
"""How the platform's own ids begin: of runs, of what owns texts, of requests and of keys.

A session that a caller names like this would own the texts of a run, or be taken for one. Ids of sessions that the
platform names begin with `session_`, which is free: callers go on with them.
"""


def is_reserved(name: str) -> bool:
    """Whether this is for the platform to name, not for callers."""
    return name.startswith(RESERVED)


def derived(*parts: object) -> str:
    """The same parts always give the same id: `uuid5` over their text, separated by a character no part may hold."""
    return str(uuid5(NAMESPACE, "\x1f".join(str(part) for part in parts)))


def random_id(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex}"


def message_id(session_id: str, idempotency_key: str | None) -> str:
    """The id of one message in a session: the same key gives the same message."""
    return derived("message", session_id, idempotency_key if idempotency_key is not None else uuid4())


def call_id(intent: str, step: int) -> str:
    """The id of one intended model call: step `step` (from 1) of the message, task or node `intent`."""
    return derived("call", intent, step)


def inner(root: str, name: str) -> str:
    """The id of a session inside a run or session, such as a swarm member's: no id that users choose holds a slash."""
    return f"{root}/{name}"


def root(session_id: str) -> str:
    """The run or session that one belongs to, which owns the texts: itself, unless it is an inner one."""
    return session_id.partition("/")[0]
