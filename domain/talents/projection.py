"""The read model of talents: those that are not deleted, without their texts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows
from domain.talents.events import TalentCreated, TalentDeleted, TalentErased, TalentEvent, TalentUpdated


@dataclass(frozen=True, slots=True)
class TalentRow:
    """A talent. Its texts are the content `profile_hash` of the owner that is its stream."""

    TABLE: ClassVar[str] = "talents"
    KEY: ClassVar[tuple[str, ...]] = ("tenant_id", "id")

    tenant_id: str
    id: int
    profile_hash: str
    status: str
    created_at: datetime
    updated_at: datetime
    version: int


class TalentsProjection:
    """`domain.projection.Projection` of talents."""

    name = "talents"
    kinds: tuple[type[Row], ...] = (TalentRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        if isinstance(recorded.event, TalentEvent):
            yield TalentRow, (recorded.event.tenant_id, recorded.event.talent_id)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case TalentCreated() as event:
                rows.put(
                    TalentRow(
                        tenant_id=event.tenant_id,
                        id=event.talent_id,
                        profile_hash=event.profile_hash,
                        status=event.status,
                        created_at=event.at,
                        updated_at=event.at,
                        version=recorded.version,
                    )
                )
            case TalentUpdated() as event:
                row = rows.get(TalentRow, event.tenant_id, event.talent_id)
                if row is None:
                    raise NotFound(f"{recorded.stream} was never created")
                row = replace(row, profile_hash=event.profile_hash, status=event.status)
                rows.put(replace(row, updated_at=event.at, version=recorded.version))
            case TalentDeleted() | TalentErased() as event:
                rows.drop(TalentRow, event.tenant_id, event.talent_id)
