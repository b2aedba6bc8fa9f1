"""The dependencies that all services share which start workflows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from api.http.dependencies import Positions
from api.http.handover import WorkHandover
from domain.content import ContentStore
from domain.ledger import Ledger


@dataclass(frozen=True, slots=True)
class RunContext:
    """The stores, the clock, and the two times that a workflow is started with.

    `call_timeout_s` bounds one attempt at a model call, `pause_s` is the first pause between attempts, both in seconds.
    """

    ledger: Ledger
    content: ContentStore
    positions: Positions
    handover: WorkHandover
    now: Callable[[], datetime]
    call_timeout_s: float
    pause_s: float
