"""Health, and the figures for Prometheus."""

from fastapi import APIRouter, Response
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.health.schemas import Alive, Health
from api.health.service import ASKED, Checkup
from api.http import request_context as context
from api.http.dependencies import requires
from api.http.metrics import CONTENT_TYPE, WebMetrics


def router(checkup: Checkup, metrics: WebMetrics) -> APIRouter:
    """`/health`, `/health/live`, `/health/ready` and `/metrics`."""
    routes = APIRouter()

    @routes.get("/health", tags=["Health"], response_model=Health)
    async def health(request: Request) -> Health | Response:
        """Whether the platform and what it stands on answers now. 503 when it is `unhealthy`."""
        found = await checkup.health()
        return found if found.status != "unhealthy" else _unavailable(request, found)

    @routes.get("/health/live", tags=["Health"])
    async def live() -> Alive:
        """Whether this process answers: nothing else is asked."""
        return Alive(status="alive")

    @routes.get("/health/ready", tags=["Health"], response_model=Alive)
    async def ready(request: Request) -> Alive | Response:
        """Whether requests can be served: the database and Temporal answer."""
        found = await checkup.health()
        return Alive(status="ready") if found.status != "unhealthy" else _unavailable(request, found)

    @routes.get("/metrics", tags=["Monitoring"], response_class=_PrometheusText, dependencies=[requires("metrics")])
    async def figures() -> Response:
        """Figures of this process in the Prometheus text format. A key for nothing else will do."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return routes


class _PrometheusText(Response):
    media_type = "text/plain"


def _unavailable(request: Request, found: Health) -> Response:
    """The findings and the error envelope in one body, so that readers of either understand it."""
    findings = found.model_dump(mode="json")
    silent = sorted(name for name in ASKED if findings[name] == "disconnected")
    error = {"code": "SERVICE_UNAVAILABLE", "message": f"no answer from: {', '.join(silent)}", "details": findings}
    envelope = {"success": False, "error": error, "request_id": context.of(request.scope).request_id}
    return JSONResponse({**findings, **envelope}, status_code=503, headers={"retry-after": "2"})
