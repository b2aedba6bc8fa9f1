"""Composes telemetry: its routes on connections of its own, and the activity that keeps it small."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from activities.reconcile.telemetry import TelemetryKeeper
from adapters.postgres.ledger.pool import Database
from adapters.postgres.telemetry.reads import PostgresTelemetryReads
from adapters.postgres.telemetry.store import PostgresTelemetryStore
from adapters.postgres.telemetry.upkeep import PostgresTelemetryUpkeep
from api.telemetry import routes
from api.telemetry.metrics import IntakeMetrics
from api.telemetry.service import THREADS, TelemetryIntake
from runtime.settings import Settings
from runtime.wiring.parts import Parts, now

_READERS = 2
OLDEST = timedelta(days=7)
"""The age that an event may have when it arrives, unless it would be dropped before."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The intake of an API process. Its connections are its own: chats and telemetry never wait for each other's."""

    database: Database
    intake: TelemetryIntake
    router: APIRouter

    def start(self) -> None:
        self.database.open()

    def close(self) -> None:
        """Finish what is pending, then close the connections."""
        self.intake.close()
        self.database.close()


def make_telemetry(settings: Settings, registry: CollectorRegistry) -> Telemetry:
    """Return the intake and the routes of telemetry. Start it before use, and close it."""
    database = Database(settings.database_url or "", size=THREADS + _READERS)
    oldest = min(OLDEST, timedelta(days=settings.telemetry_retention_days - 1))
    intake = TelemetryIntake(PostgresTelemetryStore(database), IntakeMetrics(registry), now, oldest=oldest)
    return Telemetry(database, intake, routes.router(intake, PostgresTelemetryReads(database), now))


def telemetry_activities(settings: Settings, parts: Parts) -> list[Callable[..., object]]:
    """Return the activity that merges rollups, and creates and drops partitions."""
    retention = timedelta(days=settings.telemetry_retention_days)
    return TelemetryKeeper(PostgresTelemetryUpkeep(parts.database), now, retention=retention).all()
