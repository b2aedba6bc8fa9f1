"""Request and response models of schedules."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue

from api.http.schemas import Body, Pagination, Timestamp, View
from api.schedules.targets import Target
from domain.schedules.cron import MAX_CRON
from domain.schedules.definition import (
    CATCHUP_S,
    MAX_CATCHUP_S,
    MAX_INTERVAL_S,
    MAX_NAME,
    MIN_CATCHUP_S,
    MIN_INTERVAL_S,
    Overlap,
    TargetKind,
)
from domain.schedules.ports import FiringWithReason
from domain.tenant_ids import unqualified

_YEARS = range(1970, 9999)


def _in_range(moment: Any) -> Any:
    if moment.year not in _YEARS:
        raise ValueError(f"lies outside of the years {_YEARS.start} to {_YEARS.stop - 1}")
    return moment


_Moment = Annotated[AwareDatetime, AfterValidator(_in_range)]
_Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"\S")]
_Cron = Annotated[
    str,
    Field(
        max_length=MAX_CRON,
        description="`minute hour day-of-month month day-of-week`, such as `30 8 * * mon-fri`; else `every_s`.",
    ),
]
_Every = Annotated[
    int,
    Field(
        ge=MIN_INTERVAL_S,
        le=MAX_INTERVAL_S,
        description="Interval in seconds, counted from `start_at`, or from 1970-01-01 in UTC.",
    ),
]
_Zone = Annotated[str, Field(min_length=1, max_length=64, description="IANA time zone of `cron`.")]
_Catchup = Annotated[
    int,
    Field(
        ge=MIN_CATCHUP_S,
        le=MAX_CATCHUP_S,
        description="Seconds up to which a time that an outage prevented is made up for.",
    ),
]
_Overlaps = Annotated[
    Overlap, Field(description="What happens at a time at which the run of an earlier one has not ended.")
]


class NewSchedule(Body):
    """A schedule: what to start, and when. Exactly one of `cron` and `every_s` is given."""

    name: _Name | None = None
    target: Target
    cron: _Cron | None = None
    every_s: _Every | None = None
    timezone: _Zone = "UTC"
    start_at: _Moment | None = None
    end_at: _Moment | None = None
    overlap: _Overlaps = "skip"
    catchup_window_s: _Catchup = CATCHUP_S
    paused: bool = False


class ScheduleChanges(Body):
    """The fields to change. `cron` replaces `every_s`, and the other way round."""

    name: _Name | None = None
    target: Target | None = None
    cron: _Cron | None = None
    every_s: _Every | None = None
    timezone: _Zone | None = None
    start_at: _Moment | None = None
    end_at: _Moment | None = None
    overlap: _Overlaps | None = None
    catchup_window_s: _Catchup | None = None


class ScheduleSummary(View):
    """A schedule without its target's body. Runs act as the key `acts_as`, which defined the schedule last."""

    id: str
    name: str | None
    status: Literal["active", "paused"]
    target_kind: TargetKind
    target_id: str | None
    cron: str | None
    every_s: int | None
    timezone: str
    start_at: Timestamp | None
    end_at: Timestamp | None
    overlap: Overlap
    catchup_window_s: int
    version: int
    created_by: str
    acts_as: str
    created_at: Timestamp
    updated_at: Timestamp


class ScheduleDetails(ScheduleSummary):
    """A schedule. `target` is null where it was erased.

    `next_times` are up to five, none while it is paused, and null where Temporal cannot be asked. `in_force` is false
    until Temporal has the schedule as it is here. Of the times that have passed, `skipped` were left out because of
    `overlap`, and `missed` were not made up for.
    """

    target: dict[str, JsonValue] | None
    next_times: list[Timestamp] | None
    in_force: bool
    skipped: int | None
    missed: int | None


class ScheduleList(View):
    """A page of schedules."""

    data: list[ScheduleSummary]
    pagination: Pagination


class FiringRun(View):
    """The work that a firing has started, which can be read at `location`."""

    kind: TargetKind
    id: str
    location: str


class FiringError(View):
    """The reason for which work was refused, as the API would have refused it."""

    code: str
    message: str | None


class Firing(View):
    """A firing of a schedule at the time `scheduled_at`, with the definition of `version`."""

    id: str
    schedule_id: str
    trigger: Literal["schedule", "manual"]
    status: Literal["starting", "accepted", "refused"]
    version: int
    scheduled_at: Timestamp
    fired_at: Timestamp
    fired_by: str
    run: FiringRun | None
    error: FiringError | None


class FiringList(View):
    """A page of firings."""

    data: list[Firing]
    pagination: Pagination


class TriggeredFiring(View):
    """A firing that was triggered by hand; its outcome stands in the schedule's history."""

    id: str
    schedule_id: str
    status: Literal["starting"] = "starting"


def to_firing(found: FiringWithReason) -> Firing:
    """Return a firing as the API shows it."""
    row = found.row
    return Firing.model_validate(
        {
            "id": row.firing_id,
            "schedule_id": row.schedule_id,
            "trigger": row.trigger,
            "status": row.status,
            "version": row.revision,
            "scheduled_at": row.scheduled_at,
            "fired_at": row.fired_at,
            "fired_by": row.fired_by,
            "run": _to_run(row.run_kind, row.run_id, row.target_id) if row.run_kind and row.run_id else None,
            "error": {"code": row.code, "message": found.reason} if row.code else None,
        }
    )


def _to_run(kind: str, run_id: str, target_id: str | None) -> Mapping[str, str]:
    name = unqualified(run_id) if kind == "chat" else run_id
    locations = {
        "chat": f"/api/v1/agents/chat/{name}",
        "swarm": f"/api/v1/swarm/status/{name}",
        "workflow": f"/api/v1/workflows/{target_id}/status?execution_id={name}",
        "runbook": f"/api/v1/governance/runbooks/runs/{name}",
    }
    return {"kind": kind, "id": name, "location": locations[kind]}
