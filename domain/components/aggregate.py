"""One component: the decisions to save and to delete it. Its newest event is its whole state."""

from dataclasses import dataclass

from domain.components.events import ComponentDeleted, ComponentSaved
from domain.errors import Conflict, NotFound
from domain.events import Cause, Event
from domain.tenant_ids import qualified, stream_prefix


@dataclass(frozen=True, slots=True)
class Component:
    """`saves` counts all saves so far; `newest` is None before the first one, and after a deletion."""

    saves: int = 0
    newest: ComponentSaved | None = None

    @property
    def version(self) -> int:
        """The version that a caller can expect: 0 while there is none."""
        return self.newest.component_version if self.newest else 0


@dataclass(frozen=True, slots=True)
class StateDigest:
    """A state and its metadata by their hashes."""

    component_type: str
    state_hash: str
    metadata_hash: str
    checksum: str
    size: int


def stream(tenant_id: str, component_id: str) -> str:
    return f"{stream_prefix('component', tenant_id)}{component_id}"


def owner(tenant_id: str, component_id: str) -> str:
    """Return the owner of the component's texts."""
    return f"component_{qualified(tenant_id, component_id)}"


def load(newest: Event | None) -> Component:
    """Return the component by the newest event of its stream."""
    match newest:
        case ComponentSaved():
            return Component(newest.component_version, newest)
        case ComponentDeleted():
            return Component(newest.component_version)
        case _:
            return Component()


def save(
    component: Component, component_id: str, state: StateDigest, cause: Cause, *, expected: int | None, save_id: str
) -> ComponentSaved:
    """Save a new version.

    Raises:
        Conflict: the component is not at the expected version.
    """
    if expected is not None and expected != component.version:
        raise Conflict(
            f"the component is at version {component.version}, not {expected}",
            field="expected_version",
            version=component.version,
        )
    return ComponentSaved(
        component_id=component_id,
        component_version=component.saves + 1,
        component_type=state.component_type,
        state_hash=state.state_hash,
        metadata_hash=state.metadata_hash,
        checksum=state.checksum,
        size=state.size,
        save_id=save_id,
        **cause.fields(),
    )


def delete(component: Component, component_id: str, cause: Cause) -> ComponentDeleted:
    """Delete the component with all its versions.

    Raises:
        NotFound: there is no such component.
    """
    if component.newest is None:
        raise NotFound(f"there is no component {component_id}")
    return ComponentDeleted(component_id=component_id, component_version=component.saves, **cause.fields())
