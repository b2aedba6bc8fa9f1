"""What stands out, over HTTP."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field, PlainSerializer

from api.http.dependencies import Paged, fresh, requires
from api.http.schemas import Listing, Timestamp, View
from domain.ali.findings import Insight as Finding
from domain.ali.findings import Kind, Severity
from domain.ali.insights import first_day, insights
from domain.ali.ports import AliReads
from domain.ali.thresholds import Thresholds

MOST_WATCHED = 1_000
"""Approvals, turns and swarms that are looked at, of each the longest waiting."""
_DIGITS = Decimal("0.000001")

Figure = Annotated[
    Decimal, PlainSerializer(lambda figure: float(figure.quantize(_DIGITS)), return_type=float, when_used="json")
]
"""What was measured: a JSON number with up to 6 decimals."""


class Window(View):
    """A stretch of time."""

    first: Annotated[Timestamp, Field(serialization_alias="from")]
    last: Annotated[Timestamp, Field(serialization_alias="to")]


class Evidence(View):
    """What was measured, and what it was held against; `baseline` is null where nothing was known to compare with.

    `cost_usd` is a day's cost, beside the mean of the days before; `failed_share` (0 to 1) that of a day's turns,
    beside the days before; `waiting_s` beside the wait that is allowed; `running_s` beside the 95th percentile of
    such runs.
    """

    metric: Literal["cost_usd", "failed_share", "waiting_s", "running_s"]
    value: Figure
    baseline: Figure | None
    window: Window


class Insight(View):
    """Something that stands out. `subject` is `platform`, `agent:<id>`, `approval:<id>`, `turn:<place>`, `swarm:<id>`.

    The same thing has the same id whenever it is found again.
    """

    id: str
    kind: Kind
    severity: Severity
    subject: str
    title: str
    evidence: Evidence
    detected_at: Timestamp


class Insights(Listing):
    """All that stands out, the gravest first; empty when nothing does."""

    insights: list[Insight]


@dataclass(frozen=True, slots=True)
class Watch:
    """Looks at the views with the rules."""

    reads: AliReads
    now: Callable[[], datetime]
    thresholds: Thresholds

    def look(self) -> list[Finding]:
        """All that stands out now."""
        now = self.now()
        facts = self.reads.facts(now, first=first_day(now, self.thresholds), most=MOST_WATCHED)
        return insights(facts, self.thresholds)


def router(watch: Watch) -> APIRouter:
    """`/api/v1/agents/ali/insights`."""
    routes = APIRouter(prefix="/api/v1/agents/ali", tags=["Ali Intelligence"])
    views = [fresh(name) for name in ("costs", "chat", "approvals", "swarm")]

    @routes.get("/insights", dependencies=[requires("read"), *views])
    def get_insights(page: Paged, kind: Kind | None = None, severity: Severity | None = None) -> Insights:
        """What stands out today and yesterday: dear days, failing agents, stuck approvals, slow runs; with evidence."""
        found = [it for it in watch.look() if kind in {None, it.kind} and severity in {None, it.severity}]
        return Insights.model_validate({"insights": found[page.skip : page.skip + page.limit], **page.of(len(found))})

    return routes
