"""Ids of the work of an attempt at a node. They are derived, so that a repeated attempt finds what it has started."""

from activities.graphflow.messages import NodeAttempt
from domain.ids import derived_hex, nested_session_id
from domain.tenant_ids import run_id, tenant_of


def work_intent(spot: NodeAttempt, *more: object) -> tuple[object, ...]:
    """Return the parts of a derived id of an iteration's work; with the attempt's number each attempt has its own.

    Ids of work in flight depend on them, so they stay.
    """
    item = "" if spot.item is None else spot.item
    return ("graphflow", spot.asked.execution_id, spot.node, spot.visit, item, spot.undo, *more)


def session_of(spot: NodeAttempt) -> str:
    """Return the session of an attempt's turn: one for each node, item and compensation of the run."""
    name = spot.node if spot.item is None else f"{spot.node}.{spot.visit}.{spot.item}"
    return nested_session_id(spot.asked.execution_id, f"{name}.undo.{spot.visit}" if spot.undo else name)


def swarm_id(spot: NodeAttempt) -> str:
    """Return the task id of an attempt at a swarm node."""
    unique = derived_hex(*work_intent(spot, "swarm", spot.attempt))
    return run_id("task", tenant_of(spot.asked.execution_id), unique)


def child_id(execution_id: str, node: str, visit: int, item: int | None, attempt: int) -> str:
    """Return the execution id of an attempt at a workflow node, or at an item of a map."""
    at = "" if item is None else item
    unique = derived_hex("graphflow", execution_id, node, visit, at, False, "run", attempt)
    return run_id("exec", tenant_of(execution_id), unique)
