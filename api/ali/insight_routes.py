"""Route of Ali's insights."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field, PlainSerializer

from api.http.dependencies import CurrentTenant, Paged, fresh, requires
from api.http.schemas import Listing, Timestamp, View
from domain.ali.findings import Insight as Finding
from domain.ali.findings import Kind, Severity
from domain.ali.insights import first_day, insights
from domain.ali.ports import AliReads
from domain.ali.thresholds import Thresholds

MOST_WATCHED = 1_000
"""Maximum number of approvals, turns and swarms examined: of each the longest waiting."""
_DIGITS = Decimal("0.000001")

Figure = Annotated[
    Decimal, PlainSerializer(lambda figure: float(figure.quantize(_DIGITS)), return_type=float, when_used="json")
]
"""A measured value: a JSON number with up to 6 decimals."""


class Window(View):
    """A period of time."""

    first: Annotated[Timestamp, Field(serialization_alias="from")]
    last: Annotated[Timestamp, Field(serialization_alias="to")]


class Evidence(View):
    """A measured value and its baseline; `baseline` is null if there is nothing to compare with.

    `cost_usd` is the cost of a day, compared with the mean of the days before; `failed_share` (0 to 1) is the share of
    a day's turns that failed, compared with the days before; `waiting_s` is compared with the allowed wait; `running_s`
    with the 95th percentile of such runs.
    """

    metric: Literal["cost_usd", "failed_share", "waiting_s", "running_s"]
    value: Figure
    baseline: Figure | None
    window: Window


class Insight(View):
    """An anomaly. `subject` is `platform`, `agent:<id>`, `approval:<id>`, `turn:<place>` or `swarm:<id>`.

    The same anomaly has the same id whenever it is found again.
    """

    id: str
    kind: Kind
    severity: Severity
    subject: str
    title: str
    evidence: Evidence
    detected_at: Timestamp


class Insights(Listing):
    """Anomalies, the most severe first; empty if there are none."""

    insights: list[Insight]


@dataclass(frozen=True, slots=True)
class Watch:
    """Applies the rules to the views."""

    reads: AliReads
    now: Callable[[], datetime]
    thresholds: Thresholds

    def look(self, tenant_id: str) -> list[Finding]:
        """Return the current anomalies of a tenant."""
        now = self.now()
        facts = self.reads.facts(tenant_id, now, first=first_day(now, self.thresholds), most=MOST_WATCHED)
        return insights(facts, self.thresholds)


def router(watch: Watch) -> APIRouter:
    """Build the route `/api/v1/agents/ali/insights`."""
    routes = APIRouter(prefix="/api/v1/agents/ali", tags=["Ali Intelligence"])
    views = [fresh(name) for name in ("costs", "chat", "approvals", "swarm")]

    @routes.get("/insights", dependencies=[requires("read"), *views])
    def get_insights(
        page: Paged, tenant_id: CurrentTenant, kind: Kind | None = None, severity: Severity | None = None
    ) -> Insights:
        """Returns anomalies of the caller's tenant since yesterday, with evidence.

        They are costly days, failing agents, stuck approvals and slow runs.
        """
        found = [it for it in watch.look(tenant_id) if kind in {None, it.kind} and severity in {None, it.severity}]
        return Insights.model_validate({"insights": found[page.skip : page.skip + page.limit], **page.of(len(found))})

    return routes
