"""Query parameters of the routes of analytics."""

from datetime import date
from typing import Annotated

from fastapi import Depends, Query

from domain.analytics.windows import WindowName, WindowRequest

_ZONE = r"^[A-Za-z0-9_+/-]+$"


async def _window(
    window: Annotated[
        WindowName,
        Query(description="The last 24 hours, or the last 7 or 30 days of the time zone, today included."),
    ] = "30d",
    first: Annotated[date | None, Query(alias="from", description="First day; replaces `window`.")] = None,
    last: Annotated[date | None, Query(alias="to", description="Last day, inclusive; replaces `window`.")] = None,
    tz: Annotated[
        str,
        Query(min_length=1, max_length=64, pattern=_ZONE, description="A time zone such as `Europe/Berlin`."),
    ] = "UTC",
) -> WindowRequest:
    return WindowRequest(window, first, last, tz)


Window = Annotated[WindowRequest, Depends(_window)]
"""The period that a request is about."""
