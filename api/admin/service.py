"""Administration service: the state of the system, each part asked at the same time, and waited for a moment only."""

import asyncio
import platform
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from typing import TypeVar

from api.admin.schemas import (
    ClearedCache,
    DatabaseInfo,
    DiskInfo,
    PlatformInfo,
    PoolInfo,
    ProjectionInfo,
    QueueInfo,
    QueueWorker,
    SystemInfo,
    ValkeyInfo,
)
from domain.errors import Unavailable
from domain.governance.system import DatabaseInspection, DiskInspection, TemporalInspection, ValkeyInspection
from domain.runbooks.ports import CacheMaintenance, ProjectionMaintenance, ProjectionProgress, QueueState, TaskQueues

T = TypeVar("T")

_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Inspections:
    """What can be asked about the system."""

    database: DatabaseInspection
    valkey: ValkeyInspection
    temporal: TemporalInspection
    disk: DiskInspection
    queues: TaskQueues
    projections: ProjectionMaintenance


class AdminService:
    """Clears caches, and reports the state of the system."""

    def __init__(self, inspections: Inspections, caches: CacheMaintenance, version: str) -> None:
        self._inspections = inspections
        self._caches = caches
        self._version = version

    async def clear_cache(self, prefix: str) -> ClearedCache:
        """Remove cached values.

        Raises:
            Unavailable: Valkey cannot be reached.
        """
        return ClearedCache(prefix=prefix, removed=await self._caches.clear(prefix))

    async def info(self) -> SystemInfo:
        """Return the state of the system."""
        asked = self._inspections
        temporal, queues, database, projections, valkey, disk = await asyncio.gather(
            _answer(asked.temporal.version()),
            _answer(asked.queues.states()),
            _answer(asyncio.to_thread(asked.database.state)),
            _answer(asyncio.to_thread(asked.projections.states)),
            _answer(asked.valkey.state()),
            _answer(asyncio.to_thread(asked.disk.state)),
        )
        answers = {"temporal": temporal, "database": database, "valkey": valkey}
        return SystemInfo(
            platform=PlatformInfo(
                version=self._version,
                python=platform.python_version(),
                postgresql=database.version if database else None,
                temporal=temporal,
                valkey=valkey.version if valkey else None,
            ),
            queues=None if queues is None else [_queue(state) for state in queues],
            ledger_head=projections[0].head if projections else None,
            projections=None if projections is None else [_projection(state) for state in projections],
            database=DatabaseInfo.model_validate(database) if database else None,
            pool=PoolInfo(**asdict(asked.database.pool())),
            valkey=ValkeyInfo.model_validate(valkey) if valkey else None,
            disk=DiskInfo.model_validate(disk) if disk else None,
            unreachable=sorted(name for name, answer in answers.items() if answer is None),
        )


async def _answer(asking: Awaitable[T]) -> T | None:
    """Return the answer; None where a server does not give it in time."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await asking
    except (Unavailable, TimeoutError):
        return None


def _queue(state: QueueState) -> QueueInfo:
    return QueueInfo(
        queue=state.queue,
        kind=state.kind,
        workers=[QueueWorker.model_validate(poller) for poller in state.pollers],
        backlog=state.backlog,
        backlog_age_s=round(state.backlog_age_s, 3),
    )


def _projection(state: ProjectionProgress) -> ProjectionInfo:
    return ProjectionInfo(
        name=state.name,
        position=state.position,
        lag=state.head - state.position,
        dead_letters=state.dead_letters,
        moved_at=state.moved_at,
    )
