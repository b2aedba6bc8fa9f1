"""Periods in time zones, as the database knows these."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.errors import Invalid
from domain.usage import UsagePeriod

_TODAY = b"SELECT (%s::timestamptz AT TIME ZONE %s)::date"
_ZONES = b"SELECT name FROM pg_timezone_names"
_UTC = "UTC"


class TimeZones:
    """The time zones of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._zones = frozenset({_UTC})

    def today(self, moment: datetime, time_zone: str) -> date:
        """Return the day of the moment in the time zone.

        Raises:
            domain.errors.Invalid: the time zone is unknown.
        """
        with self._database.connection() as connection:
            row = connection.execute(_TODAY, (moment, self.check(time_zone)), prepare=True).fetchone()
        return date.fromisoformat(str(row[0])) if row else moment.date()

    def parameters(self, tenant_id: str, period: UsagePeriod) -> dict[str, Any]:
        """Return the parameters of statements about a tenant's period.

        Raises:
            domain.errors.Invalid: the time zone is unknown.
        """
        self.check(period.time_zone)
        return {"tenant_id": tenant_id, **asdict(period)}

    def check(self, time_zone: str) -> str:
        """Return the name if the database has the time zone. It would take other names for offsets.

        Raises:
            domain.errors.Invalid: it has none of this name.
        """
        if time_zone not in self._zones:
            with self._database.connection() as connection:
                self._zones = frozenset({_UTC, *(name for (name,) in connection.execute(_ZONES, prepare=True))})
        if time_zone not in self._zones:
            raise Invalid("tz: unknown time zone", field="tz", reason="unknown: use a name such as Europe/Berlin")
        return time_zone
