"""The read model of clients: those that are not deleted, without their texts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from domain.clients.events import ClientCreated, ClientDeleted, ClientErased, ClientEvent, ClientUpdated
from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client. Its texts are the content `profile_hash` of the owner that is its stream."""

    TABLE: ClassVar[str] = "clients"
    KEY: ClassVar[tuple[str, ...]] = ("tenant_id", "id")

    tenant_id: str
    id: int
    profile_hash: str
    status: str
    created_at: datetime
    updated_at: datetime
    version: int


class ClientsProjection:
    """`domain.projection.Projection` of clients."""

    name = "clients"
    kinds: tuple[type[Row], ...] = (ClientRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        if isinstance(recorded.event, ClientEvent):
            yield ClientRow, (recorded.event.tenant_id, recorded.event.client_id)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case ClientCreated() as event:
                rows.put(
                    ClientRow(
                        tenant_id=event.tenant_id,
                        id=event.client_id,
                        profile_hash=event.profile_hash,
                        status=event.status,
                        created_at=event.at,
                        updated_at=event.at,
                        version=recorded.version,
                    )
                )
            case ClientUpdated() as event:
                row = rows.get(ClientRow, event.tenant_id, event.client_id)
                if row is None:
                    raise NotFound(f"{recorded.stream} was never created")
                row = replace(row, profile_hash=event.profile_hash, status=event.status)
                rows.put(replace(row, updated_at=event.at, version=recorded.version))
            case ClientDeleted() | ClientErased() as event:
                rows.drop(ClientRow, event.tenant_id, event.client_id)
