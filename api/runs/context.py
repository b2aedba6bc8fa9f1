"""The dependencies that all services share which start workflows."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from api.http.dependencies import Positions
from api.http.handover import WorkHandover
from domain.content import ContentStore
from domain.erasures.ports import NoUserLinks, UserLinks
from domain.ledger import Ledger


@dataclass(frozen=True, slots=True)
class RunContext:
    """The stores, the clock, the links of users, and the two times that a workflow is started with.

    `call_timeout_s` bounds one attempt at a model call, `pause_s` is the first pause between attempts, both in seconds.
    """

    ledger: Ledger
    content: ContentStore
    positions: Positions
    handover: WorkHandover
    now: Callable[[], datetime]
    call_timeout_s: float
    pause_s: float
    users: UserLinks = field(default_factory=NoUserLinks)

    async def link_user(self, tenant_id: str, user_id: object, owner: str) -> None:
        """Link a user, if the caller named one, to the session or run, so that an erasure finds it.

        Raises:
            domain.errors.Unavailable: the database cannot be reached.
        """
        if isinstance(user_id, str):
            await asyncio.to_thread(self.users.link, tenant_id, user_id, owner)
