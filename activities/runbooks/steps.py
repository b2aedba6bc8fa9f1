"""What a step of a runbook gets and returns."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

StepResult = dict[str, Any]
"""JSON of ids and numbers: it is shown, and kept in the ledger."""


@dataclass(frozen=True, slots=True)
class RunbookContext:
    """The run that a step belongs to. In a `dry_run` nothing may be changed."""

    run_id: str
    parameters: Mapping[str, Any]
    dry_run: bool
    by: str
    tenant_id: str


StepHandler = Callable[[RunbookContext], Awaitable[StepResult]]
"""Does a step. It may run several times, at the same time as well: after a crash another worker begins it again.

A refusal fails the step for good, but `domain.errors.Unavailable`, after which it is attempted again.
"""


class StepHandlers(Protocol):
    """The steps of some runbooks."""

    def handlers(self) -> Mapping[tuple[str, str], StepHandler]:
        """Return the handlers by runbook and step."""
        ...
