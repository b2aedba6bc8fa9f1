"""Events of retention periods. The stream is `retention:periods`, or `retention~<tenant>:periods`."""

from domain.events import Event


class RetentionSet(Event):
    """The periods were set: days after the last activity of a session, or after the end of a swarm or an execution.

    None keeps the texts for ever.
    """

    NAME = "retention.set"

    session_days: int | None
    swarm_days: int | None
    execution_days: int | None


EVENTS: tuple[type[Event], ...] = (RetentionSet,)
