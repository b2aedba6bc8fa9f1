"""Messages to the workflow of an erasure.

Fields are added with defaults, never removed: recorded histories hold them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ErasureStart:
    """The input of the workflow. `pause_s`, between its passes, is longer than any process caches a text."""

    erasure_id: str
    pause_s: float = 12.0
