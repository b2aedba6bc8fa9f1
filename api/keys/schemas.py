"""Request and response models of API keys."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field

from api.http.schemas import Body, Pagination, Timestamp, View
from domain.keys.aggregate import ApiKey
from domain.keys.policy import MAX_OVERLAP_S, key_prefix
from domain.keys.ports import GrantableScope, ListedKey, Status
from domain.tenant_ids import TENANT_ID

NO_NUL = r"^[^\x00]*$"
DEFAULT_OVERLAP_S = 300


def _storable(moment: datetime) -> datetime:
    """Return the moment if every time zone can represent it.

    Raises:
        ValueError: it lies too close to the end of time.
    """
    if moment.year > 9000:  # noqa: PLR2004  (a limit that needs no name)
        raise ValueError("lies beyond the year 9000")
    return moment


class NewKey(Body):
    """A key to create."""

    model_config = ConfigDict(str_strip_whitespace=True)

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
    scopes: Annotated[
        tuple[GrantableScope, ...],
        Field(min_length=1, max_length=8, description="Only scopes that the caller has itself."),
    ]
    tenant_id: Annotated[str, Field(pattern=TENANT_ID, description="The caller's own by default.")] | None = None
    expires_at: Annotated[AwareDatetime, AfterValidator(_storable)] | None = None


class Rotation(Body):
    """A rotation: the earlier texts of the key are valid for `overlap_s` more seconds."""

    overlap_s: Annotated[int, Field(ge=0, le=MAX_OVERLAP_S)] = DEFAULT_OVERLAP_S


DEFAULT_ROTATION = Rotation()
"""The rotation of a request without a body."""


class Key(View):
    """A key but its text. `prefix` is how its text begins; `last_used_at` is exact to a minute."""

    id: str
    prefix: str
    name: str | None
    scopes: list[str]
    tenant_id: str
    status: Status
    created_at: Timestamp
    created_by: str
    expires_at: Timestamp | None
    rotated_at: Timestamp | None
    revoked_at: Timestamp | None
    last_used_at: Timestamp | None
    version: int


class ShownKey(View):
    """A key with its text, which is shown this once: a repeat of the request has none."""

    id: str
    key: str | None = None
    prefix: str
    name: str | None
    scopes: list[str]
    tenant_id: str
    expires_at: Timestamp | None
    created_at: Timestamp
    version: int


class Keys(View):
    """Keys, newest first."""

    data: list[Key]
    pagination: Pagination


def to_key(listed: ListedKey) -> Key:
    """Return the response for a key of the view."""
    return Key(prefix=key_prefix(listed.id), **{name: getattr(listed, name) for name in listed.__slots__})


def to_shown_key(key_id: str, key: ApiKey, name: str | None, text: str | None) -> ShownKey:
    """Return the response for a key that was just created or rotated."""
    if key.created_at is None:
        raise ValueError(f"{key_id} was never created")
    return ShownKey(
        id=key_id,
        key=text,
        prefix=key_prefix(key_id),
        name=name,
        scopes=list(key.scopes),
        tenant_id=key.tenant_id,
        expires_at=key.expires_at,
        created_at=key.created_at,
        version=key.changes,
    )
