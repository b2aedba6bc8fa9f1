"""Ports of components."""

from dataclasses import dataclass
from typing import Protocol

from domain.components.projection import ComponentVersionRow


@dataclass(frozen=True, slots=True)
class ComponentVersionPage:
    """A page of versions; `total` counts them all."""

    versions: list[ComponentVersionRow]
    total: int


class ComponentReads(Protocol):
    """The saved versions of a tenant's components, as far as the projection has come."""

    def version(self, tenant_id: str, component_id: str, version: int) -> ComponentVersionRow:
        """Return one version.

        Raises:
            domain.errors.NotFound: there is none, or it was deleted.
        """
        ...

    def versions(self, tenant_id: str, component_id: str, *, skip: int, limit: int) -> ComponentVersionPage:
        """Return versions, newest first."""
        ...

    def newest(self, tenant_id: str, component_type: str | None, *, skip: int, limit: int) -> ComponentVersionPage:
        """Return the newest version of each component, of this type if one is given, in the order of their ids."""
        ...
