"""Request and response models of retention periods."""

from typing import Annotated

from pydantic import Field

from api.http.schemas import Body, View
from domain.retention.aggregate import LONGEST_DAYS

_Days = Annotated[int | None, Field(ge=1, le=LONGEST_DAYS)]


class RetentionChange(Body):
    """The periods to set, in days; null keeps the texts for ever. What is not named stays as it is."""

    session_days: _Days = None
    swarm_days: _Days = None
    execution_days: _Days = None


class RetentionPeriods(View):
    """For how many days texts are kept; null for ever. `version` counts the changes.

    The period of a session begins with its last turn, that of a swarm or an execution with its end.
    """

    session_days: int | None
    swarm_days: int | None
    execution_days: int | None
    version: int
