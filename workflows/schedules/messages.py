"""Messages to the workflow of a firing.

Fields are added with defaults, never removed: recorded histories hold them.
"""

from dataclasses import dataclass

from activities.schedules.messages import FiredRun


@dataclass(frozen=True)
class FiringStart:
    """The input of the workflow: ids only. `firing_id`, `by` and `because` are of a trigger by hand.

    `run` and `waited` (the number of looks at it so far) are set where the workflow continues as new.
    """

    schedule_id: str
    firing_id: str | None = None
    by: str | None = None
    because: str | None = None
    run: FiredRun | None = None
    waited: int = 0
