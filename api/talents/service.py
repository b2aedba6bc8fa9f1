"""The services that the routes of talents call."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from api.http.dependencies import Positions
from api.http.request_context import RequestContext
from api.talents.csv_documents import from_csv
from domain.errors import Invalid
from domain.events import Cause
from domain.talents.bulk_import import ImportedTalents, TalentImport
from domain.talents.commands import TalentCommands
from domain.talents.matching import TalentMatch, TalentNeed, rank
from domain.talents.past import TalentPast
from domain.talents.ports import TalentFilter, TalentReads

_WAITS = 15
"""Waits for the view after an import, of a second each."""


@dataclass(frozen=True, slots=True)
class TalentService:
    """Commands, past and views of talents."""

    commands: TalentCommands
    bulk: TalentImport
    past: TalentPast
    talents: TalentReads
    positions: Positions
    now: Callable[[], datetime]

    def cause(self, request: RequestContext) -> Cause:
        """Return the cause of a change: the caller, the request and the time."""
        return Cause(
            by=request.caller.id, because=request.request_id, at=self.now(), tenant_id=request.caller.tenant_id
        )

    def match(self, tenant_id: str, need: TalentNeed, department: str | None, limit: int) -> list[TalentMatch]:
        """Return the active talents that fit best.

        Raises:
            Invalid: neither a skill nor a word is wanted.
        """
        terms = need.terms
        if not need.skills and not terms:
            raise Invalid("skills: give skills, or a text with a word", field="skills", reason="nothing is wanted")
        wanted = TalentFilter(tenant_id, department=department, status="active")
        return rank(need, self.talents.candidates(wanted, need.skills, terms), limit)

    async def import_csv(self, request: RequestContext, key: str | None) -> ImportedTalents:
        """Create the talents of the request's table, all or none, and wait until the view shows them.

        Raises:
            Invalid: a row is not valid.
        """
        text = request.json if isinstance(request.json, str) else ""
        # a refused import may be repeated under its key with another table: that is other work
        once = key and f"{key}:{sha256(text.encode()).hexdigest()}"
        done = await asyncio.to_thread(self._import, text, self.cause(request), once)
        for _ in range(_WAITS):
            if await self.positions.wait("talents"):
                return done
        request.add_header("X-Convergio-Stale", "true")
        return done

    def _import(self, text: str, cause: Cause, key: str | None) -> ImportedTalents:
        rows, faults = from_csv(text)
        return self.bulk.run(rows, faults, cause, key=key)
