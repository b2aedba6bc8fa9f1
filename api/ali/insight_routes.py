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

MAX_EXAMINED = 1_000
"""Maximum number of approvals, turns and swarms examined: of each the longest waiting."""
_DIGITS = Decimal("0.000001")

Figure = Annotated[
    Decimal, PlainSerializer(lambda figure: float(figure.quantize(_DIGITS)), return_type=float, when_used="json")
]
"""A measured value: a JSON number with up to 6 decimals."""


class WindowView(View):
    """A period of time."""

    first: Annotated[Timestamp, Field(serialization_alias="from")]
    last: Annotated[Timestamp, Field(serialization_alias="to")]


class EvidenceView(View):
    """A measured value and its baseline; `baseline` is null if there is nothing to compare with.

    `cost_usd` is the cost of a day, compared with the mean of the days before; `failed_share` (0 to 1) is the share of
    a day's turns that failed, compared with the days before; `waiting_s` is compared with the allowed wait; `running_s`
    with the 95th percentile of such runs.
    """

    metric: Literal["cost_usd", "failed_share", "waiting_s", "running_s"]
    value: Figure
    baseline: Figure | None
    window: WindowView


class InsightView(View):
    """An anomaly. `subject` is `platform`, `agent:<id>`, `approval:<id>`, `turn:<place>` or `swarm:<id>`.

    The same anomaly has the same id whenever it is found again.
    """

    id: str
    kind: Kind
    severity: Severity
    subject: str
    title: str
    evidence: EvidenceView
    detected_at: Timestamp


class InsightList(Listing):
    """Anomalies, the most severe first; empty if there are none."""

    insights: list[InsightView]


@dataclass(frozen=True, slots=True)
class InsightFinder:
    """Applies the rules to the views."""

    reads: AliReads
    now: Callable[[], datetime]
    thresholds: Thresholds

    def find_insights(self, tenant_id: str) -> list[Finding]:
        """Return the current anomalies of a tenant."""
        now = self.now()
        facts = self.reads.facts(tenant_id, now, first=first_day(now, self.thresholds), most=MAX_EXAMINED)
        return insights(facts, self.thresholds)


def router(watch: InsightFinder) -> APIRouter:
    """Build the route `/api/v1/agents/ali/insights`."""
    routes = APIRouter(prefix="/api/v1/agents/ali", tags=["Ali Intelligence"])
    views = [fresh(name) for name in ("costs", "chat", "approvals", "swarm")]

    @routes.get("/insights", dependencies=[requires("read"), *views])
    def get_insights(
        page: Paged, tenant_id: CurrentTenant, kind: Kind | None = None, severity: Severity | None = None
    ) -> InsightList:
        """Returns anomalies of the caller's tenant since yesterday, with evidence.

        They are costly days, failing agents, stuck approvals and slow runs.
        """
        found = [
            it for it in watch.find_insights(tenant_id) if kind in {None, it.kind} and severity in {None, it.severity}
        ]
        return InsightList.model_validate(
            {"insights": found[page.skip : page.skip + page.limit], **page.listing_fields(len(found))}
        )

    return routes
