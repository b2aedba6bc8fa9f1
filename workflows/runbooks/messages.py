"""Messages to the workflow of a runbook.

Fields are added with defaults, never removed: recorded histories hold them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class RunbookStart:
    """The input of the workflow."""

    run_id: str
