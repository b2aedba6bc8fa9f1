"""The services that the routes of talents call."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from api.http.dependencies import Positions
from api.http.request_context import RequestContext
from api.tables.csv_tables import ImportResult, finish_import, sent_table
from api.talents.csv_documents import from_csv
from domain.errors import Invalid
from domain.events import Cause
from domain.records.bulk_imports import ImportedRecords
from domain.talents.bulk_import import TalentImport
from domain.talents.commands import TalentCommands
from domain.talents.matching import TalentMatch, TalentNeed, rank
from domain.talents.past import TalentPast
from domain.talents.ports import TalentFilter, TalentReads


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
        return request.cause(self.now())

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

    async def import_csv(self, request: RequestContext, key: str | None) -> ImportResult:
        """Create the talents of the request's table, all or none.

        Raises:
            Invalid: a row is not valid.
        """
        sent, cause = sent_table(request, key), self.cause(request)

        def work() -> ImportedRecords:
            return self.bulk.run(from_csv(sent.text), cause, key=sent.key)

        return await finish_import(work, self.positions, "talents", request)
