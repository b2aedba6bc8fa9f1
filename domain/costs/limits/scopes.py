"""Scopes of limits, and windows of time.

A scope is a name such as `key:key_1`. Inside the platform it also names the tenant, `key:acme/key_1`, since ids of
agents and projects are a tenant's own; `global` and `tenant:acme` need none.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from domain.costs.limits.events import Window
from domain.tenant_ids import EVERY

GLOBAL: Final = "global"
TENANT: Final = "tenant"
SCOPE_NAME: Final = r"^(global|(tenant|key|project|agent|workflow):[^\x00-\x1f\x7f]{1,200})$"
WINDOWS: Final[tuple[Window, ...]] = ("day", "week", "month", "run")
RUN_START: Final = date(1970, 1, 1)
"""The start of a run's window: that window has no bounds."""


def scope_of(name: str, tenant_id: str) -> str:
    """Return the scope that a tenant calls by this name."""
    kind, _, of = name.partition(":")
    return name if kind in {GLOBAL, TENANT} else f"{kind}:{tenant_id}/{of}"


def name_of(scope: str) -> str:
    """Return the name by which its tenant calls a scope."""
    kind, _, of = scope.partition(":")
    return scope if kind in {GLOBAL, TENANT} else f"{kind}:{of.partition('/')[2]}"


def owner_of(scope: str) -> str:
    """Return the tenant that a scope is of; `*` for all tenants together."""
    kind, _, of = scope.partition(":")
    if kind == GLOBAL:
        return EVERY
    return of if kind == TENANT else of.partition("/")[0]


def is_operators(name: str) -> bool:
    """Return True if only an operator may set limits of this scope."""
    return name.partition(":")[0] in {GLOBAL, TENANT}


def scopes_of_call(
    *,
    tenant_id: str,
    key_id: str,
    agent_id: str,
    workflow_id: str,
    project_id: str | None,
    enclosing_runs: Sequence[str] = (),
) -> list[str]:
    """Return all scopes that a call counts in."""
    own = [("key", key_id), ("agent", agent_id), ("workflow", workflow_id)]
    own += [("project", project_id)] if project_id is not None else []
    own += [("workflow", run) for run in enclosing_runs]
    return [GLOBAL, f"{TENANT}:{tenant_id}", *(f"{kind}:{tenant_id}/{of}" for kind, of in own)]


def day_of(at: datetime) -> date:
    """Return the day in UTC."""
    return at.astimezone(UTC).date()


def window_start(window: Window, day: date) -> date:
    """Return the first day of the window that holds this day: weeks begin on Monday."""
    match window:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "run":
            return RUN_START


def window_end(window: Window, start: date) -> date | None:
    """Return the first day after the window; None if it has no end."""
    match window:
        case "day":
            return start + timedelta(days=1)
        case "week":
            return start + timedelta(days=7)
        case "month":
            return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        case "run":
            return None
