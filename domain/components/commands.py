"""Commands on components, through the ledger."""

from collections.abc import Callable
from typing import Any

from domain.components import aggregate
from domain.components.aggregate import Component, StateDigest
from domain.components.events import ComponentSaved
from domain.components.policy import StateTexts, to_texts
from domain.content import Content
from domain.errors import Conflict, NotFound
from domain.events import Cause, Event
from domain.ids import derived_id, random_id
from domain.ledger import BRIEF_S, MANY_TRIES, Change, Ledger, retry_on_conflict

Check = Callable[[int], None]
"""Refuses if the version is not the one the caller knows."""


class ComponentCommands:
    """Saves and deletes the components of a tenant.

    All commands raise `domain.errors.Unavailable` where the ledger cannot be reached.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def load(self, tenant_id: str, component_id: str) -> ComponentSaved:
        """Return the newest version.

        Raises:
            NotFound: there is no such component.
        """
        newest = self._read(aggregate.stream(tenant_id, component_id))[1].newest
        if newest is None:
            raise NotFound(f"there is no component {component_id}")
        return newest

    def save(
        self,
        component_id: str,
        component_type: str,
        state: Any,
        metadata: dict[str, Any],
        cause: Cause,
        *,
        expected: int | None,
        key: str | None,
    ) -> ComponentSaved:
        """Save a new version; the same key saves once.

        Raises:
            Conflict: the component is not at the expected version.
            TooLarge: state or metadata exceed their limits.
        """
        texts = to_texts(state, metadata)
        save_id = derived_id("component.save", key) if key else random_id("change")
        stream = aggregate.stream(cause.tenant_id, component_id)
        contents, digest = _store_form(aggregate.owner(cause.tenant_id, component_id), component_type, texts)

        def write() -> ComponentSaved:
            version, component = self._read(stream)
            try:
                event = aggregate.save(component, component_id, digest, cause, expected=expected, save_id=save_id)
            except Conflict:
                # a repeat meets the version that its first attempt has saved
                if done := self._find_save(stream, save_id):
                    return done
                raise
            if self._append(stream, version, event, f"component.save:{save_id}", contents):
                return event
            return self._find_save(stream, save_id) or event

        return retry_on_conflict(write, tries=MANY_TRIES, pause_s=BRIEF_S)

    def delete(self, component_id: str, cause: Cause, *, check: Check) -> None:
        """Delete a component with all its versions. `check` refuses if the version is not the one the caller knows.

        Raises:
            NotFound: there is no such component.
        """
        stream = aggregate.stream(cause.tenant_id, component_id)

        def write() -> None:
            version, component = self._read(stream)
            event = aggregate.delete(component, component_id, cause)
            check(component.version)
            self._append(stream, version, event, random_id("change"), [])

        retry_on_conflict(write, tries=MANY_TRIES, pause_s=BRIEF_S)

    def _append(self, stream: str, version: int, event: Event, key: str, contents: list[Content]) -> bool:
        return self._ledger.append(Change(stream, version, [event]), key=key, content=contents) is not None

    def _read(self, stream: str) -> tuple[int, Component]:
        version, newest = self._ledger.read_latest(stream)
        return version, aggregate.load(newest)

    def _find_save(self, stream: str, save_id: str) -> ComponentSaved | None:
        saves = (event for event in self._ledger.read(stream) if isinstance(event, ComponentSaved))
        return next((event for event in saves if event.save_id == save_id), None)


def _store_form(owner: str, component_type: str, texts: StateTexts) -> tuple[list[Content], StateDigest]:
    """Return the texts to store and the state by their hashes."""
    state, metadata = Content(owner, texts.state), Content(owner, texts.metadata)
    digest = StateDigest(component_type, state.hash, metadata.hash, texts.checksum, texts.size)
    return [state, metadata], digest
