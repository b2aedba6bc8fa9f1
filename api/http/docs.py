"""`/docs` and `/redoc` with local assets: they work without a network and under a strict content security policy."""

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from importlib.resources import files
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.routing import Mount

from api.http.dependencies import open_to_all

_ASSETS = "/docs/assets"
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def router(title: str) -> APIRouter:
    """Build the routes of the two pages and their assets."""
    swagger = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=title,
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
    )
    redoc = get_redoc_html(
        openapi_url="/openapi.json",
        title=title,
        redoc_js_url=f"{_ASSETS}/redoc.standalone.js",
        redoc_favicon_url=f"{_ASSETS}/favicon.png",
        with_google_fonts=False,
    )
    routes = APIRouter(dependencies=[open_to_all()])
    routes.add_api_route("/docs", _page(swagger), include_in_schema=False, response_class=HTMLResponse)
    routes.add_api_route("/redoc", _page(redoc), include_in_schema=False, response_class=HTMLResponse)
    assets = _Assets(directory=str(files("fastapi_offline") / "static"))
    routes.routes.append(Mount(_ASSETS, app=assets, name="docs-assets"))
    return routes


class _Assets(StaticFiles):
    """Static files that only change with a release, so browsers may cache them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=86400"
        return response


def _page(page: HTMLResponse) -> Callable[[], Awaitable[Response]]:
    body = bytes(page.body)
    headers = {"content-security-policy": _policy(body.decode())}

    async def show() -> Response:
        return HTMLResponse(body, headers=headers)

    return show


def _policy(html: str) -> str:
    """Return the policy: local scripts, and the page's inline one by its hash.

    Both viewers need inline styles and data images.
    """
    hashes = (b64encode(sha256(script.encode()).digest()).decode() for script in _INLINE.findall(html))
    scripts = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
