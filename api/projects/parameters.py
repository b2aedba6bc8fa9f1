"""Paths and query parameters of the routes of projects."""

from datetime import date
from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

from api.http.schemas import MAX_INT

PREFIX = "/api/v1/projects"
Text = Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
AsOf = Annotated[AwareDatetime | None, Query(description="Returns the state at this moment.")]
ZoneQuery = Annotated[
    str, Query(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$", description="A time zone.")
]
FirstDay = Annotated[date | None, Query(alias="from", description="First day of the daily figures.")]
LastDay = Annotated[date | None, Query(alias="to", description="Last day of the daily figures, inclusive.")]
RecordQuery = Annotated[int | None, Query(ge=1, le=MAX_INT)]
