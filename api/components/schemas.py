"""Request and response models of saved components."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue

from api.http.schemas import MAX_INT, Body, Pagination, Timestamp, View
from domain.components.policy import MAX_METADATA, MAX_STATE
from domain.components.projection import ComponentVersionRow

COMPONENT_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
COMPONENT_TYPE = r"^[A-Za-z][A-Za-z0-9._:-]{0,127}$"


class SaveRequest(Body):
    """A state to save."""

    model_config = ConfigDict(str_max_length=MAX_STATE)

    component_id: Annotated[str, Field(pattern=COMPONENT_ID)]
    component_type: Annotated[str, Field(pattern=COMPONENT_TYPE)]
    state: Annotated[JsonValue, Field(description=f"Any JSON, up to {MAX_STATE} bytes without spaces.")]
    metadata: Annotated[
        dict[str, JsonValue], Field(default_factory=dict, description=f"Up to {MAX_METADATA} bytes of JSON.")
    ]
    expected_version: Annotated[
        int | None,
        Field(ge=0, le=MAX_INT, description="409 unless this is the current version; 0: there must be none."),
    ] = None


class ComponentVersion(View):
    """A saved version without its state. `checksum` is the SHA-256 of the state as canonical JSON (RFC 8785)."""

    component_id: str
    component_type: str
    version: int
    checksum: str
    size: Annotated[int, Field(description="Bytes of the state as JSON without spaces.")]
    saved_by: str
    saved_at: Timestamp


class ComponentState(ComponentVersion):
    """A saved version with its state, which is null if it was `erased`."""

    state: JsonValue
    metadata: dict[str, JsonValue] | None
    erased: bool


class ComponentVersions(View):
    """A page of versions."""

    data: list[ComponentVersion]
    pagination: Pagination


def to_state(row: ComponentVersionRow, state: Any, metadata: Any, *, erased: bool) -> ComponentState:
    """Return a version with its state."""
    known = ComponentVersion.model_validate(row).model_dump()
    return ComponentState.model_validate({**known, "state": state, "metadata": metadata, "erased": erased})
