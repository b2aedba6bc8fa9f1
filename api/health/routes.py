"""Routes for health checks and Prometheus metrics."""

from fastapi import APIRouter, Response
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.health.platform_metrics import PlatformMetrics
from api.health.schemas import Alive, Health
from api.health.service import PROBED_SERVICES, HealthService
from api.http import request_context as context
from api.http.dependencies import open_to_all, requires
from api.http.metrics import CONTENT_TYPE, WebMetrics


def router(checkup: HealthService, metrics: WebMetrics, platform: PlatformMetrics) -> APIRouter:
    """Build the routes `/health`, `/health/live`, `/health/ready` and `/metrics`."""
    routes = APIRouter()

    @routes.get("/health", tags=["Health"], response_model=Health, dependencies=[open_to_all()])
    async def health(request: Request) -> Health | Response:
        """Reports the health of the platform and of the services it needs. 503 if it is `unhealthy`."""
        found = await checkup.check()
        return found if found.status != "unhealthy" else _unavailable(request, found)

    @routes.get("/health/live", tags=["Health"], dependencies=[open_to_all()])
    async def live() -> Alive:
        """Reports that this process runs; no other service is queried."""
        return Alive(status="alive")

    @routes.get("/health/ready", tags=["Health"], response_model=Alive, dependencies=[open_to_all()])
    async def ready(request: Request) -> Alive | Response:
        """Reports that requests can be served: the database and Temporal answer. 503 if they do not."""
        found = await checkup.check()
        return Alive(status="ready") if found.status != "unhealthy" else _unavailable(request, found)

    @routes.get("/metrics", tags=["Monitoring"], response_class=_PrometheusText, dependencies=[requires("metrics")])
    async def figures() -> Response:
        """Returns the metrics of this process and of the platform in the Prometheus text format.

        The scope `metrics` suffices. What is about the platform is the same in every process.
        """
        await platform.refresh()
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return routes


class _PrometheusText(Response):
    media_type = "text/plain"


def _unavailable(request: Request, found: Health) -> Response:
    """Return the findings and the error envelope in one body, for clients that read either."""
    findings = found.model_dump(mode="json")
    silent = sorted(name for name in PROBED_SERVICES if findings[name] == "disconnected")
    error = {"code": "SERVICE_UNAVAILABLE", "message": f"no answer from: {', '.join(silent)}", "details": findings}
    envelope = {"success": False, "error": error, "request_id": context.from_scope(request.scope).request_id}
    return JSONResponse({**findings, **envelope}, status_code=503, headers={"retry-after": "2"})
