"""Query parameters that routes of costs share."""

from datetime import date
from typing import Annotated

from fastapi import Query

NameQuery = Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
PeriodQuery = Annotated[
    str | None,
    Query(
        pattern=r"^(day|week|month|(19[7-9]\d|20\d\d)-(0[1-9]|1[0-2]))$",
        description="`day`, `week`, `month` (the default), or a month such as `2026-11`; in UTC.",
    ),
]
FirstDay = Annotated[date | None, Query(alias="from", description="First day; replaces `period`.")]
LastDay = Annotated[date | None, Query(alias="to", description="Last day, inclusive.")]
