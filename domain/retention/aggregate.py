"""The retention periods of one tenant. The newest event of its stream is its whole state."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

from domain.events import Cause, Event
from domain.retention.events import RetentionSet
from domain.tenant_ids import stream_prefix

Kind = Literal["session", "swarm", "execution"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LONGEST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Periods:
    """Days for which texts are kept, by their kind; None for ever. All the same while nobody has set them."""

    session_days: int | None = None
    swarm_days: int | None = None
    execution_days: int | None = None

    def days(self, kind: Kind) -> int | None:
        """Return the period of a kind."""
        return {"session": self.session_days, "swarm": self.swarm_days, "execution": self.execution_days}[kind]


def stream(tenant_id: str) -> str:
    return f"{stream_prefix('retention', tenant_id)}periods"


def load(newest: Event | None) -> Periods:
    """Return the periods by the newest event of their stream."""
    if not isinstance(newest, RetentionSet):
        return Periods()
    return Periods(newest.session_days, newest.swarm_days, newest.execution_days)


def set_periods(periods: Periods, changes: Mapping[str, int | None], cause: Cause) -> list[Event]:
    """Set the periods that are named, `session_days` and so on; nothing if they stand already."""
    changed = replace(periods, **changes)
    return [] if changed == periods else [RetentionSet(**asdict(changed), **cause.fields())]
