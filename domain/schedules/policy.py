"""Rules for the times of schedules."""

from datetime import datetime
from functools import lru_cache
from zoneinfo import available_timezones

from domain.errors import Invalid
from domain.schedules.cron import parse_cron
from domain.schedules.definition import ScheduleDefinition

MAX_SCHEDULES = 1_000
"""Maximum schedules of a tenant."""
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
"""Names among the time zones that are settings of a machine."""


def refuse_invalid(definition: ScheduleDefinition, now: datetime) -> None:
    """Return if the schedule can be kept to.

    Raises:
        Invalid: it has no times, both kinds of them, an unknown time zone, or ends before it begins or before now.
    """
    if (definition.cron is None) == (definition.every_s is None):
        raise _invalid("cron", "exactly one of cron and every_s is needed")
    if definition.cron is not None:
        parse_cron(definition.cron)
    if definition.timezone not in _time_zones():
        raise _invalid("timezone", "is no name of the IANA time zone database, such as Europe/Rome")
    if definition.end_at is not None and definition.end_at <= max(now, definition.start_at or now):
        raise _invalid("end_at", "is past, or not after start_at")


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    """Return the time zones that this machine knows: reading them takes many milliseconds."""
    return frozenset(available_timezones() - _NO_ZONES) | {"UTC"}


def _invalid(field: str, reason: str) -> Invalid:
    return Invalid(f"{field}: {reason}", field=field, reason=reason)
