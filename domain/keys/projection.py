"""The read model of API keys."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.keys.events import KeyCreated, KeyRevoked, KeyRotated
from domain.projection import Key, Row, Rows


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key but its texts. `name_hash` is the content that names it, whose owner is the key's id."""

    TABLE: ClassVar[str] = "api_keys"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    tenant_id: str
    name_hash: str
    scopes: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    rotated_at: datetime | None
    revoked_at: datetime | None
    version: int


class KeysProjection:
    """`domain.projection.Projection` of the keys."""

    name = "keys"
    kinds: tuple[type[Row], ...] = (KeyRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        if isinstance(recorded.event, KeyRotated | KeyRevoked):
            yield KeyRow, (_key_id(recorded),)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case KeyCreated() as event:
                rows.put(_new(recorded, event))
            case KeyRotated(at=at):
                rows.put(replace(_row(recorded, rows), rotated_at=at, version=recorded.version))
            case KeyRevoked(at=at):
                rows.put(replace(_row(recorded, rows), revoked_at=at, version=recorded.version))


def _new(recorded: RecordedEvent, event: KeyCreated) -> KeyRow:
    return KeyRow(
        id=_key_id(recorded),
        tenant_id=event.tenant_id,
        name_hash=event.name_hash,
        scopes=list(event.scopes),
        created_at=event.at,
        created_by=event.by,
        expires_at=event.expires_at,
        rotated_at=None,
        revoked_at=None,
        version=recorded.version,
    )


def _row(recorded: RecordedEvent, rows: Rows) -> KeyRow:
    row = rows.get(KeyRow, _key_id(recorded))
    if row is None:
        raise NotFound(f"{recorded.stream} was never created")
    return row


def _key_id(recorded: RecordedEvent) -> str:
    return recorded.stream.partition(":")[2]
