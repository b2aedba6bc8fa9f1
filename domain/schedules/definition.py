"""The definition of a schedule: its times and what it starts, texts by their hashes."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

TargetKind = Literal["chat", "swarm", "workflow", "runbook"]
Overlap = Literal["skip", "buffer_one", "buffer_all", "allow_all"]
"""What happens at a time at which the run of an earlier one has not ended, by Temporal's names."""

MIN_INTERVAL_S = 10
MAX_INTERVAL_S = 366 * 24 * 3600
MIN_CATCHUP_S = 10
MAX_CATCHUP_S = 7 * 24 * 3600
CATCHUP_S = 600
"""Seconds after its time up to which a firing that an outage prevented is made up for."""
MAX_NAME = 200


class ScheduleDefinition(BaseModel):
    """Either `cron` or `every_s` is given. `target_id` is the agent, workflow or runbook, if the target names one.

    `target_hash` and `name_hash` are texts of the schedule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target_kind: TargetKind
    target_id: str | None = None
    target_hash: str
    name_hash: str | None = None
    cron: str | None = None
    every_s: int | None = None
    timezone: str = "UTC"
    start_at: AwareDatetime | None = None
    end_at: AwareDatetime | None = None
    overlap: Overlap = "skip"
    catchup_window_s: int = CATCHUP_S
