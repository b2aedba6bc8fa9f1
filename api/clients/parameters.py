"""Paths and query parameters of the routes of clients."""

from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

PREFIX = "/api/v1/clients"
Text = Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
AsOf = Annotated[AwareDatetime | None, Query(description="Returns the state at this moment.")]
