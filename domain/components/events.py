"""What can happen to a component. Its stream is `component:<id>`, `component~<tenant>:<id>` for other tenants."""

from domain.events import Event


class ComponentSaved(Event):
    """A version of its state was saved; versions count from 1. State and metadata are texts of the component.

    `checksum` is the SHA-256 of the state as canonical JSON, `size` the bytes of the stored text, and `save_id` names
    the request.
    """

    NAME = "component.saved"

    component_id: str
    component_version: int
    component_type: str
    state_hash: str
    metadata_hash: str
    checksum: str
    size: int
    save_id: str


class ComponentDeleted(Event):
    """It was deleted with all its versions. The next save counts on from `component_version`."""

    NAME = "component.deleted"

    component_id: str
    component_version: int


EVENTS = (ComponentSaved, ComponentDeleted)
